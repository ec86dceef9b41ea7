"""All metrics of rows in one call."""

from __future__ import annotations

from typing import Any

from evergreen.metrics.measured import measured


def compute(*rows: Any, **more: Any) -> dict[str, float]:
    """The metrics of the rows that `measured` makes of these arguments, by name."""
    return measured(*rows, **more).values
