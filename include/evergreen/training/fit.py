"""The challenger: the best candidate, tuned in folds that respect time, fit without and with the hold-out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from evergreen.errors import SpecError
from evergreen.spec import Spec
from evergreen.training.dataset import TrainingSet
from evergreen.training.estimators import build_estimator, candidate_path
from evergreen.training.tuning import Trial, tune


@dataclass(frozen=True)
class Challenger:
    """`evaluated` was fit without the hold-out and is measured on it; `final` was fit on all rows and serves.

    `candidate` says what was chosen (estimator, preprocess, target_transform, params); `trials` all that was
    tried, with its score in cross-validation.
    """

    evaluated: Any = field(repr=False)
    final: Any = field(repr=False)
    candidate: dict[str, Any]
    trials: list[dict[str, Any]] = field(repr=False)


def fit_challenger(spec: Spec, training_set: TrainingSet) -> Challenger:
    """Tune the candidates on the rows that are not held out, and fit the best.

    Pure and deterministic: seeded, and on a single thread, since sums in another order round otherwise. A
    lone candidate without a search needs no tuning. Raises `SpecError` naming a candidate that cannot be fit.
    """
    known = ~training_set.holdout
    with _one_thread():
        best, trials = tune(spec, training_set, _fit)
        evaluated = _fit(spec, best, *_selected(training_set, known))
        final = _fit(spec, best, *_selected(training_set, np.ones(len(known), dtype=bool)))
    candidate = spec.training.candidates[best.candidate]
    chosen = {
        "estimator": candidate.estimator,
        "preprocess": list(candidate.preprocess),
        "target_transform": candidate.target_transform,
        "params": best.params,
    }
    return Challenger(evaluated, final, chosen, [trial.to_dict(spec) for trial in trials])


def _fit(spec: Spec, trial: Trial, features: pd.DataFrame, target: pd.Series | None) -> Any:
    estimator = build_estimator(spec, trial.candidate, trial.params)
    # Where history is shorter than a look-back, a feature has no value yet: as a constant, nothing is learnt
    # from it, while some estimators cannot be fit on a column without any value.
    if empty := [name for name in features if features[name].isna().all()]:
        features = features.fillna(dict.fromkeys(empty, 0.0))
    try:
        return estimator.fit(features, target)
    except Exception as error:
        name = spec.training.candidates[trial.candidate].estimator
        raise SpecError(
            f"{candidate_path(spec, trial.candidate)}: {name} cannot be fit with {trial.params}: "
            f"{' '.join(str(error).split())[:300]}: mend its params or the features"
        ) from error


def _selected(training_set: TrainingSet, mask: Any) -> tuple[pd.DataFrame, pd.Series | None]:
    target = training_set.target
    return training_set.features[mask], None if target is None else target[mask]


@contextmanager
def _one_thread() -> Iterator[None]:
    with threadpool_limits(limits=1):
        yield
