"""Performance without labels: what a calibrated classifier's own confidence says of it.

If of the rows given the probability 0.8 four in five are of that class, then the probabilities say how many
predictions are right, and of which kind the wrong ones are. That is the average confidence of Hendrycks and
Gimpel (2017), which Garg et al. (2022) compare with others, and, for whole confusion matrices and curves, the
confidence-based performance estimation of NannyML's documentation. It sees that rows have become harder to
tell apart; it cannot see that the truth has changed (concept drift), nor does it hold for a model whose
probabilities are not calibrated. It is an estimate and is to be called one.

Metrics that are means over rows get their exact expectation; the others the ratio of expected counts, which
is the expectation but for a part that vanishes as 1 / rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from evergreen.json_values import finite_or_none
from evergreen.metrics import Costs, Metric
from evergreen.metrics.chances import Chances
from evergreen.metrics.classes import ordered_classes
from evergreen.metrics.predictions import Predictions
from evergreen.spec import Spec


def expected_of(spec: Spec, predicted: Predictions) -> float | None:
    """The training metric that predictions of n rows let expect; None without probabilities, as `estimated`.

    The positive class and the costs are those of the description.
    """
    if predicted.probabilities is None:
        return None
    return estimated(
        spec.metric,
        predicted.probabilities,
        predicted.classes,
        predicted.labels,
        positive=spec.positive,
        costs=spec.training.costs,
    )


def estimated(
    metric: Metric,
    probabilities: ArrayLike,
    classes: Sequence[Any],
    predicted: ArrayLike | None = None,
    *,
    positive: Any = None,
    costs: Costs | None = None,
) -> float | None:
    """The value of a metric that is to be expected of rows if their truth is as probable as the model says.

    `probabilities` (n, k) are those of the k `classes`; `predicted` (n,) the predictions as published, by
    default the likeliest class; `positive` the class that the description calls so, and `costs` those of
    wrong decisions between two classes. None for a metric that has no expectation, without rows, with a
    probability that is not finite, or where no row may be of another class.
    """
    chances = np.asarray(probabilities, dtype=np.float64)
    if not len(chances) or not np.isfinite(chances).all():
        return None
    taken = chances.argmax(axis=1)
    if predicted is not None:
        taken = pd.Index(list(classes)).get_indexer(pd.Index(np.asarray(predicted).tolist()))
        if (taken < 0).any():
            return None  # a class without a probability
    order = np.asarray(
        [list(classes).index(name) for name in ordered_classes(classes, positive)], dtype=np.intp
    )
    place_of = np.argsort(order)
    return finite_or_none(metric.expectation(Chances(chances[:, order], place_of[taken], costs)))
