"""Tuning: which candidate, with which parameters, does best in cross-validation on the rows not held out."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from evergreen.errors import SpecError
from evergreen.evaluation.evaluate import model_metrics
from evergreen.evaluation.space import distance_space
from evergreen.lake import PARTITION
from evergreen.spec import Spec, Task
from evergreen.training.dataset import TrainingSet
from evergreen.training.estimators import candidate_path
from evergreen.training.folds import Fold, folds_of
from evergreen.training.search import Dimension, every_setting, parse_search, space_size


@dataclass(frozen=True)
class Trial:
    """A candidate (its number in the description) with its parameters, and its score where it was tried."""

    candidate: int
    params: dict[str, Any]
    score: float | None = None

    def to_dict(self, spec: Spec) -> dict[str, Any]:
        """The trial as JSON values."""
        score = self.score if self.score is not None and math.isfinite(self.score) else None
        estimator = spec.training.candidates[self.candidate].estimator
        return {"estimator": estimator, "params": self.params, "score": score}


Fit = Callable[[Spec, Trial, pd.DataFrame, "pd.Series | None"], Any]
"""Fits a trial's estimator to features and target."""


def tune(spec: Spec, training_set: TrainingSet, fit: Fit) -> tuple[Trial, list[Trial]]:
    """The best trial by `training.metric`, and all of them in the order tried.

    A candidate with a `search` gets `tuning.trials` of Optuna's TPE (Bergstra et al. 2011), seeded; where its
    whole search space is no larger than that, every setting is tried once. One without is a single trial. A
    single trial in all is not scored. Raises `SpecError` if no trial has a finite score.
    """
    candidates = spec.training.candidates
    if len(candidates) == 1 and not candidates[0].search:
        only = Trial(0, dict(candidates[0].params))
        return only, [only]
    score = _Scoring(spec, training_set, fit)
    trials = [
        trial
        for number, candidate in enumerate(candidates)
        for trial in (
            _searched(spec, number, score) if candidate.search else [score(number, candidate.params)]
        )
    ]
    finite = [trial for trial in trials if trial.score is not None and math.isfinite(trial.score)]
    if not finite:
        raise SpecError(
            f"{candidate_path(spec, 0)}: no candidate reached a finite {spec.training.metric} in "
            "cross-validation: check that the estimators can give it, and the features"
        )
    return _best(spec, finite), trials


class _Scoring:
    """Scores a candidate's settings in the same folds; a setting asked for again is not fit again."""

    def __init__(self, spec: Spec, training_set: TrainingSet, fit: Fit) -> None:
        self._spec = spec
        self._fit = fit
        known = ~training_set.holdout
        self._features = training_set.features[known]
        self._target = None if training_set.target is None else training_set.target[known]
        self._folds: list[Fold] = folds_of(spec, training_set.rows[PARTITION][known], self._target)
        self._space = (
            distance_space(self._features).transform(self._features) if spec.task is Task.CLUSTERING else None
        )
        self._known: dict[str, Trial] = {}

    def __call__(self, number: int, params: Mapping[str, Any]) -> Trial:
        key = json.dumps([number, params], sort_keys=True, default=str)
        if key not in self._known:
            trial = Trial(number, dict(params))
            scores = [self._score(trial, fold) for fold in self._folds]
            self._known[key] = Trial(number, dict(params), float(np.mean(scores)))
        return self._known[key]

    def _score(self, trial: Trial, fold: Fold) -> float:
        known, unseen = fold
        target = self._target
        model = self._fit(
            self._spec, trial, self._features.iloc[known], None if target is None else target.iloc[known]
        )
        found = model_metrics(
            self._spec,
            model,
            self._features.iloc[unseen],
            None if target is None else target.iloc[unseen],
            None if self._space is None else self._space[unseen],
        )
        return found.get(self._spec.training.metric, math.nan)


def _searched(spec: Spec, number: int, score: _Scoring) -> list[Trial]:
    candidate = spec.training.candidates[number]
    dimensions = parse_search(f"{candidate_path(spec, number)}.search", candidate.search)
    if space_size(dimensions) <= spec.training.tuning.trials:
        return [score(number, {**candidate.params, **setting}) for setting in every_setting(dimensions)]
    return _sampled(spec, number, dimensions, score)


def _sampled(spec: Spec, number: int, dimensions: Mapping[str, Dimension], score: _Scoring) -> list[Trial]:
    import optuna

    tried: list[Trial] = []

    def objective(trial: optuna.Trial) -> float:
        setting = {name: dimension.suggest(trial, name) for name, dimension in dimensions.items()}
        found = score(number, {**spec.training.candidates[number].params, **setting})
        tried.append(found)
        return math.nan if found.score is None else found.score

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        direction="maximize" if spec.higher_is_better else "minimize",
        sampler=optuna.samplers.TPESampler(seed=spec.training.seed),
    )
    study.optimize(objective, n_trials=spec.training.tuning.trials)
    return tried


def _best(spec: Spec, trials: Iterable[Trial]) -> Trial:
    # The first of equals wins: the description's order is an order of preference.
    sign = -1.0 if spec.higher_is_better else 1.0
    return min(trials, key=lambda trial: sign * (trial.score if trial.score is not None else math.inf))
