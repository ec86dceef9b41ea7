"""A figure that `make bench` prints and writes to `bench.json`."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass

ROUNDS = int(os.environ.get("ROUNDS", "5"))
"""How often everything is measured; the figures are medians. `make bench ROUNDS=1` for a first look."""


@dataclass(frozen=True)
class Figure:
    """One measured value and the limit it must not pass."""

    name: str
    value: float
    unit: str
    limit: float

    @property
    def ok(self) -> bool:
        """Whether the value is at or under the limit."""
        return self.value <= self.limit

    def to_dict(self) -> dict[str, object]:
        """The figure as it stands in `bench.json`."""
        return {**asdict(self), "ok": self.ok}


def ratio_of_medians(measured: Sequence[float], reference: Sequence[float]) -> float:
    """Median of the first over median of the second, both in seconds of the same run."""
    return statistics.median(measured) / statistics.median(reference)
