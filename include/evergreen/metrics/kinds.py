"""The common kinds of metric: a mean over rows, a mean over classes, an area under a curve."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from evergreen.metrics.metric import Metric, Pools
from evergreen.task import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from evergreen.metrics.chances import Chances
    from evergreen.metrics.part import Part
    from evergreen.metrics.rows import Rows
    from evergreen.metrics.sums import Sums

    Floats = NDArray[np.float64]


def mean_of_parts(parts: Sequence[Part]) -> float:
    """The mean of the parts' values, weighted by their rows; NaN without any."""
    known = [(part.rows, part.value) for part in parts if part.value is not None and part.rows]
    rows = sum(number for number, _ in known)
    return sum(number * value for number, value in known) / rows if rows else math.nan


@dataclass(frozen=True, kw_only=True)
class MeanOfRows(Metric):
    """The weighted mean of a value that each row has by itself.

    `each` returns the value of each row (n,); `expected` the expected value of each row (n,), None for a
    metric without an estimate.
    """

    each: Callable[[Rows], Floats]
    expected: Callable[[Chances], Floats] | None = None

    pools: ClassVar[Pools] = "mean"

    def value(self, rows: Rows) -> float:
        """The mean of the rows' values, weighted by the rows' weights."""
        import numpy as np

        return float(np.average(self.each(rows), weights=rows.weights))

    def sums(self, rows: Rows, unit: NDArray[np.intp], units: int) -> Iterator[Sums]:
        """Rows and the sum of their values."""
        from evergreen.metrics.sums import mean_by_unit

        yield mean_by_unit(self.each(rows), unit, units, rows.weights)

    def pooled(self, parts: Sequence[Part]) -> float:
        """The mean of the values, weighted by rows; exact."""
        return mean_of_parts(parts)

    def expectation(self, chances: Chances) -> float | None:
        """The exact expectation: the mean of the rows'."""
        return None if self.expected is None else float(self.expected(chances).mean())


@dataclass(frozen=True, kw_only=True)
class MeanOfClasses(Metric):
    """The unweighted mean of a ratio over the classes that are true or predicted (macro).

    `ratio` maps the numbers of found, true and predicted rows of each class (three arrays of the same shape)
    to numerator and denominator; a class with denominator 0 has the ratio 0.
    """

    ratio: Callable[[Floats, Floats, Floats], tuple[Floats, Floats]]
    task: Task = Task.CLASSIFICATION

    of_classes: ClassVar[str] = "macro"
    pools: ClassVar[Pools] = "sums"

    def value(self, rows: Rows) -> float:
        """The mean over the classes of the rows."""
        import numpy as np

        from evergreen.metrics.sums import class_counts, divided

        counts = class_counts(rows, np.zeros(len(rows), dtype=np.intp), 1)
        hit, true, predicted = (count[0] for count in counts)
        ratios = divided(*self.ratio(hit, true, predicted), empty=0.0)
        return float(ratios[true + predicted > 0].mean())

    def sums(self, rows: Rows, unit: NDArray[np.intp], units: int) -> Iterator[Sums]:
        """The counts of each class."""
        import numpy as np

        from evergreen.metrics.sums import Sums, class_counts

        counts = class_counts(rows, unit, units)
        yield Sums(np.concatenate(counts, axis=1), self._of_counts)

    def kept(self, rows: Rows) -> Any:
        """How many rows of each class are found, true and predicted, by the class's name."""
        import numpy as np

        from evergreen.metrics.sums import class_counts

        counts = class_counts(rows, np.zeros(len(rows), dtype=np.intp), 1)
        by_class = np.concatenate(counts).T.tolist()
        return [[name, *of] for name, of in zip(rows.names, by_class, strict=True) if any(of)]

    def pooled(self, parts: Sequence[Part]) -> float:
        """The metric of the counts added up; exact."""
        import numpy as np

        if not parts or any(part.kept is None for part in parts):
            return math.nan
        names = sorted({name for part in parts for name, *_ in part.kept})
        place = {name: number for number, name in enumerate(names)}
        counts = np.zeros((len(names), 3))
        for part in parts:
            for name, *of in part.kept:
                counts[place[name]] += of
        return float(self._of_counts(counts.T.reshape(1, -1))[0])

    def _of_counts(self, sums: Floats) -> Floats:
        import numpy as np

        from evergreen.metrics.sums import divided

        hit, true, predicted = np.split(sums, 3, axis=1)
        present = true + predicted > 0
        ratios = divided(*self.ratio(hit, true, predicted), empty=0.0)
        return divided((ratios * present).sum(axis=1), present.sum(axis=1))

    def expectation(self, chances: Chances) -> float | None:
        """The mean of the ratios of expected counts, weighted by the probability that each class occurs."""
        import numpy as np

        from evergreen.metrics.sums import divided

        there = np.where(chances.predicted_rows > 0, 1.0, chances.present)
        ratios = divided(*self.ratio(chances.hit, chances.true_rows, chances.predicted_rows), empty=0.0)
        return float(there @ ratios / there.sum())


@dataclass(frozen=True, kw_only=True)
class AreaOfCurve(Metric):
    """The area under a curve over a class's probability: of the positive of two, or of more the mean.

    The mean is over each class present against the rest; NaN where all rows are of one class. `area_of_bins`
    is that of how many other rows and rows of the class are in each bin of the probability, rising,
    (m, bins) each, to (m,); `expected_area` that of a class's probability (n,), NaN where there is none.
    """

    area_of_bins: Callable[[Floats, Floats], Floats]
    expected_area: Callable[[Floats], float]
    task: Task = Task.CLASSIFICATION
    better: Literal["lower", "higher"] = "higher"
    low: float = 0.0
    high: float = 1.0
    of_probabilities: bool = True

    of_classes: ClassVar[str] = "the positive one of two; of more the mean of each against the rest"
    pools: ClassVar[Pools] = "rows"

    def value(self, rows: Rows) -> float:
        """The mean of the areas of the classes; exact, by a bin for each different probability."""
        found = [self._area(rows, label) for label in rows.positives]
        return math.fsum(found) / len(found) if found else math.nan

    def _area(self, rows: Rows, label: int) -> float:
        import numpy as np

        assert rows.actual is not None
        assert rows.probabilities is not None
        values, place = np.unique(rows.probabilities[:, label], return_inverse=True)
        cell = place + len(values) * (rows.actual == label)
        counts = np.bincount(cell, rows.weights, 2 * len(values)).astype(np.float64).reshape(2, -1)
        return float(self.area_of_bins(counts[:1], counts[1:])[0])

    def sums(self, rows: Rows, unit: NDArray[np.intp], units: int) -> Iterator[Sums]:
        """The counts of each class and of the rest by bins of its probability."""
        from evergreen.metrics.sums import Sums, bin_counts, halves

        def metric(total: Floats) -> Floats:
            return self.area_of_bins(*halves(total))

        for label in rows.positives:
            yield Sums(bin_counts(rows, label, unit, units), metric)

    def kept(self, rows: Rows) -> Any:
        """The rows and the others at each probability of a class; see `evergreen.metrics.curve`."""
        from evergreen.metrics.curve import curves_of

        return curves_of(rows)

    def pooled(self, parts: Sequence[Part]) -> float:
        """The mean of the areas of the classes' curves, put together from those of the parts.

        Exact where each part has at most 1,000 different probabilities; see `evergreen.metrics.curve`.
        """
        from evergreen.metrics.curve import joined

        if not parts or any(part.kept is None for part in parts):
            return math.nan
        areas = [
            float(self.area_of_bins(others[None], true[None])[0])
            for others, true in joined([part.kept for part in parts])
        ]
        return math.fsum(areas) / len(areas) if areas else math.nan

    def undefined(self, rows: Rows) -> str | None:
        """All rows are of one class."""
        return None if rows.positives else "one class only"

    def expectation(self, chances: Chances) -> float | None:
        """The expected area of the classes, weighted by the probability that each class occurs."""
        import numpy as np

        classes = chances.of.shape[1]
        if classes < 2:
            return math.nan
        if classes == 2:
            return self.expected_area(chances.of[:, 1])
        areas = np.array([self.expected_area(chances.of[:, label]) for label in range(classes)])
        there: Any = np.where(np.isfinite(areas), chances.present, 0.0)
        total = float(there.sum())
        return float(there @ np.nan_to_num(areas)) / total if total > 0 else math.nan
