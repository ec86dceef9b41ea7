"""Two metrics that somebody added, each defined here and nowhere else.

Python imports a module of this name when it starts: so a process that the library starts knows them too.
"""

from __future__ import annotations

import numpy as np

from evergreen.metrics import register
from evergreen.metrics.kinds import MeanOfRows
from evergreen.task import Task


def _profits(rows):
    return 5 * np.minimum(rows.predicted, rows.actual) - 2 * rows.predicted


def _growth(probabilities):
    return 100 * (np.log2(np.clip(probabilities, 1e-9, 1)) + 1)


register(
    MeanOfRows(
        name="profit",
        words="mean profit of a sale",
        task=Task.REGRESSION,
        better="higher",
        best_constant=0.6,  # one too few loses 3, one too many 2: the newsvendor's quantile is 3 / (3 + 2)
        each=_profits,
        formula="5 times what is sold of the predicted, less 2 times the predicted; it may be a loss",
    )
)
register(
    MeanOfRows(
        name="growth",
        words="growth of the stake",
        task=Task.CLASSIFICATION,
        better="higher",
        of_probabilities=True,
        each=lambda rows: _growth(rows.true_probability),
        expected=lambda chances: (chances.of * _growth(chances.of)).sum(axis=1),
        formula="100 times (1 + the binary logarithm of the true class's probability): what betting by the "
        "probabilities at even odds wins, in percent of a doubling",
    )
)
