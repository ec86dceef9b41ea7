"""The settings of a policy that tuning may change, and how a value is written in a description."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class Turn(NamedTuple):
    """A setting: its path below `monitoring`, the values that are tried, and how one of them is written."""

    path: tuple[str, ...]
    steps: Sequence[Any]
    written: Callable[[Any], str]


def in_partitions(count: int) -> str:
    """A number of partitions."""
    return f"{count} partition{'' if count == 1 else 's'}"


def in_percent(count: int) -> str:
    """A share."""
    return f"{count}%"


def in_quarters(count: int) -> str:
    """A number of quarters."""
    return f"{count / 4:g}"


def in_times(of: tuple[int, int]) -> str:
    """So many of the last partitions."""
    return f"{of[0]} of {in_partitions(of[1])}"
