"""What is kept of some rows, so that they can be measured together with others later."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Part:
    """One metric of some rows: how many they are, its value (None where they have none), and what is kept.

    `kept` are JSON values that only the metric itself reads (`Metric.kept`); None where nothing is needed, or
    where an older release kept nothing.
    """

    rows: int
    value: float | None
    kept: Any = field(default=None, repr=False)
