"""The metrics of a regression, in the unit of the target or as a share of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from evergreen.metrics.kinds import MeanOfRows, mean_of_parts
from evergreen.metrics.metric import Metric, Pools, register
from evergreen.task import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from evergreen.metrics.part import Part
    from evergreen.metrics.rows import Rows
    from evergreen.metrics.sums import Sums

    Floats = NDArray[np.float64]


class _RootMeanSquaredError(Metric):
    pools: ClassVar[Pools] = "sums"

    def value(self, rows: Rows) -> float:
        import numpy as np

        return math.sqrt(np.average(rows.errors**2, weights=rows.weights))

    def sums(self, rows: Rows, unit: NDArray[np.intp], units: int) -> Iterator[Sums]:
        import numpy as np

        from evergreen.metrics.sums import mean_by_unit

        squares = mean_by_unit(rows.errors**2, unit, units, rows.weights)
        yield squares.then(np.sqrt)

    def pooled(self, parts: Sequence[Part]) -> float:
        squares = [replace(part, value=None if part.value is None else part.value**2) for part in parts]
        return math.sqrt(mean_of_parts(squares))


class _RSquared(Metric):
    pools: ClassVar[Pools] = "sums"

    def value(self, rows: Rows) -> float:
        import numpy as np

        if len(rows) < 2:
            return math.nan
        assert rows.actual is not None
        weights = 1.0 if rows.weights is None else rows.weights
        varied = (weights * (rows.actual - np.average(rows.actual, weights=rows.weights)) ** 2).sum()
        wrong = (weights * rows.errors**2).sum()
        # As scikit-learn has it where the actual values are all equal.
        return float(1 - wrong / varied) if varied else float(not wrong)

    def sums(self, rows: Rows, unit: NDArray[np.intp], units: int) -> Iterator[Sums]:
        from evergreen.metrics.sums import Sums, by_unit, divided

        assert rows.actual is not None
        centred = rows.actual - rows.actual.mean()  # squares of large numbers would lose their digits

        def metric(sums: Floats) -> Floats:
            rows, total, squares, errors = sums.T
            return 1 - divided(errors, squares - divided(total**2, rows))

        columns = (None, centred, centred**2, rows.errors**2)
        yield Sums(by_unit(unit, units, *columns, weights=rows.weights), metric)

    def kept(self, rows: Rows) -> Any:
        """Rows, the mean of the actual values, the squares around it, and those of the errors."""
        assert rows.actual is not None
        mean = float(rows.actual.mean())
        squares = float(((rows.actual - mean) ** 2).sum())
        return [len(rows), mean, squares, float((rows.errors**2).sum())]

    def pooled(self, parts: Sequence[Part]) -> float:
        """The sums around the mean of all rows, from those around the parts' own means."""
        import numpy as np

        if not parts or any(part.kept is None for part in parts):
            return math.nan
        rows, means, squares, errors = np.array([part.kept for part in parts], dtype=float).T
        mean = rows @ means / rows.sum()
        varied = squares.sum() + rows @ (means - mean) ** 2
        # As scikit-learn has it where the actual values are all equal.
        if not varied:
            return math.nan if rows.sum() < 2 else float(not errors.sum())
        return math.nan if rows.sum() < 2 else float(1 - errors.sum() / varied)

    def undefined(self, rows: Rows) -> str | None:
        return "one row only" if len(rows) < 2 else None


def _pinball(quantile: float) -> Callable[[Rows], Floats]:
    def each(rows: Rows) -> Floats:
        import numpy as np

        losses: Floats = np.maximum((1 - quantile) * rows.errors, -quantile * rows.errors)
        return losses

    return each


def _relative_errors(rows: Rows) -> Floats:
    import numpy as np

    assert rows.actual is not None
    relative: Floats = np.abs(rows.errors) / np.maximum(np.abs(rows.actual), np.finfo(np.float64).eps)
    return relative


register(
    MeanOfRows(
        name="mae",
        words="mean absolute error",
        task=Task.REGRESSION,
        better="lower",
        low=0.0,
        best_constant="median",
        usual_for="numbers",
        usual_why="the mean error in the unit of the target; rmse counts large errors more",
        each=lambda rows: abs(rows.errors),
        formula="mean of the absolute difference of prediction and actual value",
    )
)
register(
    _RootMeanSquaredError(
        name="rmse",
        words="root mean squared error",
        task=Task.REGRESSION,
        better="lower",
        low=0.0,
        formula="square root of the mean squared difference of prediction and actual value",
    )
)
register(
    _RSquared(
        name="r2",
        words="R2",
        task=Task.REGRESSION,
        better="higher",
        high=1.0,
        formula="1 less the squared errors over the squared differences of the actual values from their "
        "mean; of at least two rows",
    )
)
register(
    MeanOfRows(
        name="mape",
        words="mean absolute percentage error",
        task=Task.REGRESSION,
        better="lower",
        low=0.0,
        best_constant="relative median",
        each=_relative_errors,
        formula="mean of the absolute error over the absolute actual value, a share and not percent",
    )
)
for _name, _quantile in {
    "pinball_05": 0.05,
    "pinball_10": 0.1,
    "pinball_25": 0.25,
    "pinball_75": 0.75,
    "pinball_90": 0.9,
    "pinball_95": 0.95,
}.items():
    register(
        MeanOfRows(
            name=_name,
            words=f"pinball loss of the {_quantile:.0%} quantile",
            task=Task.REGRESSION,
            better="lower",
            low=0.0,
            on_request=True,
            best_constant=_quantile,
            each=_pinball(_quantile),
            formula=f"mean of {_quantile:g} times what a prediction is too low, or {1 - _quantile:g} times "
            "what it is too high",
            source="Koenker and Bassett 1978",
        )
    )
