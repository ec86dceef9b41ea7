"""What features contribute to what a model said, by the description of its pipeline."""

from __future__ import annotations

from typing import Any

import pandas as pd

from evergreen.contributions.contributions import Contributions, contributions_of
from evergreen.contributions.explainable import heart_of
from evergreen.metrics.predictions import Predictions
from evergreen.spec import Spec
from evergreen.spec.positive import positive_of


def explained(spec: Spec, model: Any, features: pd.DataFrame, said: Predictions) -> Contributions:
    """What the features (n, d) contribute to what the model said; raises `SpecError` if it cannot."""
    # A model without probabilities has classes too.
    classes = explained_classes(model)
    positive = positive_of(spec, classes) if len(classes) == 2 else 1
    return contributions_of(model, features, said.labels.tolist(), positive)


def explained_classes(model: Any) -> tuple[Any, ...]:
    """The classes that a fitted model tells apart, in the order of its outputs; none for a regression."""
    return tuple(getattr(heart_of(model).estimator, "classes_", ()))
