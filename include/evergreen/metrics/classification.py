"""The metrics of a classification: of the labels, or of the probabilities of the classes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from evergreen.metrics.kinds import AreaOfCurve, MeanOfClasses, MeanOfRows
from evergreen.metrics.metric import register
from evergreen.task import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from evergreen.metrics.chances import Chances
    from evergreen.metrics.rows import Rows

    Floats = NDArray[np.float64]


class _MeanCost(MeanOfRows):
    def undefined(self, rows: Rows) -> str | None:
        return "more than two classes" if rows.classes > 2 else None

    def expectation(self, chances: Chances) -> float | None:
        return None if chances.costs is None else super().expectation(chances)


def _costs(rows: Rows) -> Floats:
    """NaN for rows of more than two classes. Rows of one class alone are all decided right."""
    import numpy as np

    assert rows.costs is not None
    assert rows.actual is not None
    if rows.classes > 2:
        return np.full(len(rows), np.nan)
    return rows.costs.expected((rows.actual == 1).astype(np.float64), rows.predicted == 1)


def _expected_costs(chances: Chances) -> Floats:
    import numpy as np

    assert chances.costs is not None
    if chances.of.shape[1] > 2:
        return np.full(len(chances.of), np.nan)
    return chances.costs.expected(chances.of[:, 1:].sum(axis=1), chances.predicted == 1)


def _log_losses(rows: Rows) -> Floats:
    """A true class's probability counts as at least 2.2e-16.

    A class the model has never seen has probability 0: a very bad score rather than an error.
    """
    import numpy as np

    lost: Floats = -np.log(np.clip(rows.true_probability, np.finfo(np.float64).eps, 1.0))
    return lost


def _expected_log_losses(chances: Chances) -> Floats:
    import numpy as np

    logs = np.log(np.clip(chances.of, np.finfo(np.float64).eps, 1.0))
    lost: Floats = -(chances.of * logs).sum(axis=1)
    return lost


def _brier_losses(rows: Rows) -> Floats:
    import numpy as np

    assert rows.probabilities is not None
    squares = np.einsum("ij,ij->i", rows.probabilities, rows.probabilities)
    lost: Floats = (squares - 2 * rows.true_probability + 1) / 2
    return lost


def _expected_brier_losses(chances: Chances) -> Floats:
    """The distance (sum p^2 - 2 p + 1) / 2 of a true class with probability p, summed over true classes."""
    lost: Floats = (1 - (chances.of**2).sum(axis=1)) / 2
    return lost


def _roc_area_of_bins(others: Floats, true: Floats) -> Floats:
    import numpy as np

    from evergreen.metrics.sums import divided

    below = np.cumsum(others, axis=1) - others / 2
    pairs = true.sum(axis=1) * others.sum(axis=1)
    return divided(np.einsum("ij,ij->i", true, below), pairs)


def _expected_roc_area(chance: Floats) -> float:
    """Expected pairs of two rows in the right order over all pairs, one of the class and one of the rest.

    `chance` (n,) is both the score and the probability. A row makes no pair with itself.
    """
    import numpy as np

    _, group = np.unique(chance, return_inverse=True)
    true, rest = np.bincount(group, chance), np.bincount(group, 1 - chance)
    itself = float((chance * (1 - chance)).sum())
    pairs = float(true.sum() * rest.sum()) - itself
    right = float(true @ (np.cumsum(rest) - rest / 2)) - itself / 2
    return right / pairs if _is_count(pairs, len(chance)) else math.nan


def _precision_area_of_bins(others: Floats, true: Floats) -> Floats:
    import numpy as np

    from evergreen.metrics.sums import divided

    found = np.cumsum(true[:, ::-1], axis=1)
    taken = found + np.cumsum(others[:, ::-1], axis=1)
    precision = divided(found, taken, empty=0.0)
    return divided(np.einsum("ij,ij->i", true[:, ::-1], precision), found[:, -1])


def _expected_precision_area(chance: Floats) -> float:
    """The expected average precision: for a row of the class, the class's share of the rows down to it.

    The row itself counts as of the class, the others by their probability.
    """
    import numpy as np

    _, group = np.unique(-chance, return_inverse=True)
    found, taken = np.cumsum(np.bincount(group, chance)), np.cumsum(np.bincount(group))
    precision = (found[group] - chance + 1) / taken[group]
    total = float(chance.sum())
    may_differ = _is_count(total, len(chance)) and _is_count(len(chance) - total, len(chance))
    return float(chance @ precision) / total if may_differ else math.nan


def _is_count(expected: float, rows: int) -> bool:
    """Whether an expected count over rows is more than what rounding leaves of none."""
    import numpy as np

    return bool(expected > rows * np.finfo(np.float64).eps * 8)


register(
    MeanOfRows(
        name="accuracy",
        words="accuracy",
        usual_for="classes",
        usual_why="the classes have about as many rows each; log_loss if the probabilities matter",
        task=Task.CLASSIFICATION,
        better="higher",
        low=0.0,
        high=1.0,
        each=lambda rows: rows.right,
        expected=lambda chances: chances.right,
        formula="share of the rows whose predicted class is the actual one",
    )
)
register(
    MeanOfClasses(
        name="precision",
        words="macro precision",
        better="higher",
        low=0.0,
        high=1.0,
        ratio=lambda hit, true, predicted: (hit, predicted),
        formula="of the rows predicted to be of a class, the share that are; the unweighted mean of the "
        "classes that are true or predicted (macro)",
    )
)
register(
    MeanOfClasses(
        name="recall",
        words="macro recall",
        better="higher",
        low=0.0,
        high=1.0,
        ratio=lambda hit, true, predicted: (hit, true),
        formula="of the rows of a class, the share predicted to be; the unweighted mean of the classes that "
        "are true or predicted (macro)",
    )
)
register(
    MeanOfClasses(
        name="f1",
        words="macro F1 score",
        usual_for="classes, some rare",
        usual_why="some classes are rare, and each counts the same; accuracy if each row does",
        better="higher",
        low=0.0,
        high=1.0,
        ratio=lambda hit, true, predicted: (2 * hit, true + predicted),
        formula="harmonic mean of a class's precision and recall; the unweighted mean of the classes that "
        "are true or predicted (macro)",
    )
)
register(
    AreaOfCurve(
        name="roc_auc",
        words="area under the ROC curve",
        usual_for="two classes",
        usual_why="how well both classes are told apart; log_loss if the probabilities matter",
        area_of_bins=_roc_area_of_bins,
        expected_area=_expected_roc_area,
        formula="share of the pairs of a row of the class and another in which the first has the higher "
        "probability, ties half; of the positive one of two, or of more the unweighted mean of each class "
        "present against the rest",
    )
)
register(
    AreaOfCurve(
        name="pr_auc",
        words="area under the precision-recall curve",
        usual_for="two classes, one rare",
        usual_why="positives are rare; log_loss if the probabilities matter",
        area_of_bins=_precision_area_of_bins,
        expected_area=_expected_precision_area,
        formula="average precision: the mean over the rows of the class of the precision among the rows with "
        "at least their probability; of the classes as `roc_auc`",
    )
)
register(
    MeanOfRows(
        name="log_loss",
        words="log loss",
        task=Task.CLASSIFICATION,
        better="lower",
        low=0.0,
        of_probabilities=True,
        each=_log_losses,
        expected=_expected_log_losses,
        formula="mean of minus the logarithm of the true class's probability, which counts as at least "
        "2.2e-16",
    )
)
register(
    MeanOfRows(
        name="brier",
        words="Brier score",
        task=Task.CLASSIFICATION,
        better="lower",
        low=0.0,
        high=1.0,
        of_probabilities=True,
        each=_brier_losses,
        expected=_expected_brier_losses,
        formula="half the mean squared distance of the probabilities from the truth, so that two classes "
        "give the usual score",
        source="Brier 1950",
    )
)
COST = register(
    _MeanCost(
        name="cost",
        words="mean cost of a row",
        task=Task.CLASSIFICATION,
        better="lower",
        low=0.0,
        unit="a row",
        of_costs=True,
        each=_costs,
        expected=_expected_costs,
        formula="mean over the rows of what `training.decision.costs` says: `false_negative` for one of the "
        "positive class that is predicted to be of the other, `false_positive` for one of the other that is "
        "predicted to be of it, 0 for the rest; of two classes",
        source="Elkan 2001",
    )
)
"""The metric that `training.decision.costs` decide by."""
