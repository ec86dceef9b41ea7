"""Calls that wait for a store, a few at the same time. A single one takes no thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

AT_ONCE = 4
"""More threads than these take longer to start than they save on reads of small objects."""


def together(
    function: Callable[[_Item], _Result], items: Iterable[_Item], at_once: int = AT_ONCE
) -> list[_Result]:
    """What the function returns for each item, in their order, at most `at_once` at a time.

    Raises what it raises for the first item that it fails for.
    """
    waiting = list(items)
    if len(waiting) <= 1 or at_once <= 1:
        return [function(item) for item in waiting]
    with ThreadPoolExecutor(min(at_once, len(waiting))) as pool:
        return list(pool.map(function, waiting))
