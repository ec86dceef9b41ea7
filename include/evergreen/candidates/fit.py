"""The challenger: the best candidate, tuned by cross-validation, fit without and with the hold-out."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import FixedThresholdClassifier
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from evergreen.boosters.estimator import Boosted
from evergreen.candidates.completed import completed
from evergreen.candidates.estimators import (
    build_estimator,
    candidate_path,
    estimator_of,
    fit_argument,
    with_default_steps,
)
from evergreen.candidates.refused_columns import cure
from evergreen.candidates.tuning import Trial, tune
from evergreen.contributions.explainable import check_explained, keep_means
from evergreen.contributions.sources import check_sources
from evergreen.errors import SpecError, one_line
from evergreen.intervals.sets import ConformalClassifier
from evergreen.spec import Spec
from evergreen.training_set.assemble import TrainingSet
from evergreen.training_set.folds import Fold, groups_of, last_fold
from evergreen.training_set.sample import Sample, balanced, recent

_log = logging.getLogger(__name__)

NONE_PRETRAINED: Mapping[int, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Challenger:
    """`evaluated` was fit without the hold-out and is measured on it; `final` was fit on all rows and serves.

    A pretrained model is both. Both are completed, as `candidates.completed` says. `candidate` is what was
    chosen: estimator, preprocess, target_transform and params; what early stopping has found, the recency of
    its rows where they have one, and for a pretrained model its key and digest.
    `trials` is all that was tried, with the score in cross-validation, the scores of the folds and the
    seconds they took. `curve` is what its threshold was chosen from in the folds, as JSON values (see
    `evergreen.decisions.threshold.Curve`); None where none was.
    """

    evaluated: Any = field(repr=False)
    final: Any = field(repr=False)
    candidate: dict[str, Any]
    trials: list[dict[str, Any]] = field(repr=False)
    curve: dict[str, Any] | None = field(default=None, repr=False)


def fit_challenger(
    spec: Spec, training_set: TrainingSet, pretrained: Mapping[int, Any] = NONE_PRETRAINED
) -> Challenger:
    """Tune the candidates on the rows that are not held out, and fit the best.

    `pretrained` are the pretrained models by their candidate's number, as
    `evergreen.candidates.pretrained.load_pretrained` gives them: they are scored in the same folds,
    never fit. A candidate that leaves `preprocess` out gets the default steps for the features of the
    whole training set, the same in each fold. Pure and, without `tuning.within`, deterministic: seeded, and
    on a single thread, since sums in another order round otherwise. A lone candidate without a search needs
    no tuning. Where early stopping is on, each fit stops on the last fold of its own rows; the final model
    takes what the evaluated one has found, so the hold-out never decides on anything. Raises
    `SpecError` naming a candidate that cannot be fit, or a pretrained model that cannot predict from the
    features.
    """
    fit = partial(_fit, dict(pretrained))  # a mapping that can be sent to other processes
    known = ~training_set.holdout
    spec = with_default_steps(spec, training_set.features)
    _log.info("%s: training as of %s: %s", spec.name, training_set.as_of, _size(training_set))
    with _one_thread():
        best, trials = tune(spec, training_set, fit)
        groups = groups_of(spec, training_set.rows)
        evaluated = fit(spec, best, Sample.of(training_set, known, groups))
        found = _found(evaluated)
        final = evaluated if best.candidate in pretrained else fit(spec, best, Sample.of(training_set), found)
        both = completed(spec, training_set, best, fit, evaluated=evaluated, final=final)
    chosen = _described(spec, best) | ({"early_stopping": found} if found else {})
    chosen |= _decided(spec, both.final)
    curve = None if both.curve is None else both.curve.to_dict()
    return Challenger(both.evaluated, both.final, chosen, [trial.to_dict(spec) for trial in trials], curve)


def _size(training_set: TrainingSet) -> str:
    rows, columns = training_set.features.shape
    return f"{rows} rows, of which {training_set.holdout.sum()} are held out; features: {columns}"


def _described(spec: Spec, best: Trial) -> dict[str, Any]:
    candidate = spec.training.candidates[best.candidate]
    steps = [
        step.model_dump(mode="json") if step.params or step.columns else step.step
        for step in candidate.preprocess or ()
    ]
    chosen = {
        "estimator": candidate.label,
        "preprocess": steps,
        "target_transform": candidate.target_transform,
        "params": best.params,
    }
    if half_life := spec.training.half_life(best.candidate):
        chosen["recency"] = str(half_life)
    return chosen | ({"pretrained": candidate.pretrained.model_dump()} if candidate.pretrained else {})


def _found(model: Any) -> dict[str, Any] | None:
    """What early stopping has found for a model; None for an estimator that has none."""
    estimator = estimator_of(model)
    return estimator.found_ if isinstance(estimator, Boosted) else None


def _decided(spec: Spec, model: Any) -> dict[str, Any]:
    """How probabilities are calibrated and decided by; nothing where the description does not ask for it."""
    asked: dict[str, Any] = {"calibrate": spec.training.calibrate} if spec.training.calibrate else {}
    if isinstance(model, ConformalClassifier):
        model = model.model
    if isinstance(model, FixedThresholdClassifier):
        asked["decision"] = {"threshold": model.threshold, "positive": model.pos_label}
    return asked


def _fit(
    pretrained: Mapping[int, Any],
    spec: Spec,
    trial: Trial,
    sample: Sample,
    found: Mapping[str, Any] | None = None,
) -> Any:
    candidate = spec.training.candidates[trial.candidate]
    if candidate.pretrained is not None:
        return _as_it_is(spec, trial.candidate, pretrained, sample)
    estimator = build_estimator(spec, trial.candidate, trial.params)
    weights = _weights(spec, trial.candidate, sample)
    given: dict[str, Any] = {} if weights is None else {"sample_weight": weights}
    if isinstance(estimator_of(estimator), Boosted):
        given |= {"found": found} if found is not None else {"fold": _last(spec, sample)}
    given = {fit_argument(estimator, name): value for name, value in given.items()}
    try:
        features = _without_empty(sample.features)
        model = estimator.fit(features, sample.target, **given)
        if spec.explain is not None:
            keep_means(model, features)
            check_sources(model)
        return model
    except Exception as error:
        raise SpecError(
            f"{candidate_path(spec, trial.candidate)}: {candidate.label} cannot be fit with {trial.params}: "
            f"{one_line(error)}: {cure(sample.features, error)}"
        ) from error


def _last(spec: Spec, sample: Sample) -> Fold | None:
    return last_fold(spec, sample.partitions, sample.target, sample.groups)


def _weights(spec: Spec, number: int, sample: Sample) -> NDArray[np.float64] | None:
    """What the rows (n,) count in the fit of a candidate, and in no metric; None where all are equal."""
    weights = sample.weights
    if half_life := spec.training.half_life(number):
        weights = recent(spec.calendar, sample.partitions, half_life, weights)
    if spec.training.balance:
        assert sample.target is not None
        weights = balanced(sample.target, weights)
    return weights


def _as_it_is(spec: Spec, number: int, pretrained: Mapping[int, Any], sample: Sample) -> Any:
    where, key = candidate_path(spec, number), spec.training.candidates[number].label
    if number not in pretrained:
        raise SpecError(f"{where}: the pretrained model {key} was not loaded: load it before training")
    model = pretrained[number]
    if spec.explain is not None:
        check_explained(where, model)
    try:
        model.predict(sample.features.head(1))
    except Exception as error:
        raise SpecError(
            f"{where}: the pretrained model {key} cannot predict from the features "
            f"{_names(sample.features)}: {one_line(error)}: build the features that it was trained on"
        ) from error
    return model


def _without_empty(features: pd.DataFrame) -> pd.DataFrame:
    # Where history is shorter than a look-back, a feature may have no value at all. Some estimators cannot be
    # fit on such a column; a constant does no harm.
    blank: dict[str, Any] = {}
    for name in features:
        if features[name].isna().all() and not isinstance(features[name].dtype, pd.CategoricalDtype):
            blank[str(name)] = "" if isinstance(features[name].dtype, pd.StringDtype) else 0.0
    return features.fillna(blank) if blank else features


def _names(features: pd.DataFrame) -> str:
    names = [str(name) for name in features]
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")


@contextmanager
def _one_thread() -> Iterator[None]:
    with threadpool_limits(limits=1):
        yield
