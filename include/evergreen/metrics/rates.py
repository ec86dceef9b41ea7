"""Rates of one class of a classification, the positive one: what fairness between groups is judged by.

A rate is no metric: it is no better or worse by itself, and is only compared between groups. Metrics of the
same name, like `precision`, are the mean over all classes (macro); a rate is that of one class.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evergreen.metrics.part import Part

if TYPE_CHECKING:
    from evergreen.metrics.rows import Rows


@dataclass(frozen=True)
class Counts:
    """Rows by whether they are of the class, and predicted to be: both, the second alone, the first, none."""

    found: float
    wrong: float
    missed: float
    rest: float


@dataclass(frozen=True, kw_only=True)
class Rate:
    """A share of rows; `ratio` gives what stands above and below the line."""

    name: str
    words: str
    formula: str
    ratio: Callable[[Counts], tuple[float, float]]

    def of(self, counts: Counts) -> float:
        """The rate; NaN where there is no row to take a share of."""
        above, below = self.ratio(counts)
        return above / below if below else math.nan

    def part(self, rows: Rows, positive: int) -> Part:
        """The rate of at least one row, and the counts that it is pooled by."""
        counts = counts_of(rows, positive)
        value = self.of(counts)
        return Part(len(rows), value if math.isfinite(value) else None, list(vars(counts).values()))

    def pooled(self, parts: Sequence[Part]) -> float:
        """The rate of the rows of all parts together; exact, NaN where there is no row to take a share of."""
        kept = [part.kept for part in parts if part.kept is not None]
        return self.of(Counts(*map(math.fsum, zip(*kept, strict=True)))) if kept else math.nan


def counts_of(rows: Rows, positive: int) -> Counts:
    """The counts of the class of that number; each row counts by its weight."""
    import numpy as np

    assert rows.actual is not None
    weights = np.ones(len(rows)) if rows.weights is None else rows.weights
    true, predicted = rows.actual == positive, rows.predicted == positive
    cells = (true & predicted, ~true & predicted, true & ~predicted, ~true & ~predicted)
    return Counts(*(float(weights[cell].sum()) for cell in cells))


RATES: dict[str, Rate] = {
    rate.name: rate
    for rate in (
        Rate(
            name="selection_rate",
            words="selection rate",
            formula="share of the rows that are predicted to be of the positive class",
            ratio=lambda n: (n.found + n.wrong, n.found + n.wrong + n.missed + n.rest),
        ),
        Rate(
            name="tpr",
            words="true positive rate",
            formula="of the rows of the positive class, the share predicted to be (its recall)",
            ratio=lambda n: (n.found, n.found + n.missed),
        ),
        Rate(
            name="fpr",
            words="false positive rate",
            formula="of the rows of other classes, the share predicted to be of the positive class",
            ratio=lambda n: (n.wrong, n.wrong + n.rest),
        ),
        Rate(
            name="precision",
            words="precision",
            formula="of the rows predicted to be of the positive class, the share that are",
            ratio=lambda n: (n.found, n.found + n.wrong),
        ),
    )
}
"""Every rate by its name."""
