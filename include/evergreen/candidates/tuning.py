"""Tuning: which candidate, with which parameters, does best in cross-validation on the rows not held out."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evergreen.candidates.estimators import candidate_path, named
from evergreen.candidates.proposals import Proposals, proposals_of
from evergreen.compute.spread import Spread, spread
from evergreen.decisions.learn import check_decision, learn_of
from evergreen.errors import NotInstalledError, RefusedError, SpecError
from evergreen.lake import PARTITION
from evergreen.metrics.distance_space import distance_space
from evergreen.metrics.predictions import Predictions
from evergreen.spec import Spec, Task
from evergreen.training_set.assemble import TrainingSet
from evergreen.training_set.folds import Fold, folds_of, groups_of
from evergreen.training_set.sample import Sample

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trial:
    """A candidate (its number in the description) with its parameters, and its score where it was tried.

    `score` is the mean of the scores in `folds`. `seconds` is how long the trial took; it does not count when
    trials are compared. `problem` says why a setting could not be fit; its score is NaN then.
    """

    candidate: int
    params: dict[str, Any]
    score: float | None = None
    folds: tuple[float, ...] = ()
    seconds: float | None = field(default=None, compare=False)
    problem: str | None = None

    @property
    def finite(self) -> bool:
        """Whether it has a score that can be compared."""
        return self.score is not None and math.isfinite(self.score)

    def to_dict(self, spec: Spec) -> dict[str, Any]:
        """The trial as JSON values; a score that is not finite is null."""
        content = {
            "estimator": spec.training.candidates[self.candidate].label,
            "params": self.params,
            "score": self.score if self.finite else None,
            "folds": [score if math.isfinite(score) else None for score in self.folds],
            "seconds": self.seconds,
        }
        half_life = spec.training.half_life(self.candidate)
        content |= {"recency": str(half_life)} if half_life else {}
        return content | ({"problem": self.problem} if self.problem else {})


Fit = Callable[[Spec, Trial, Sample], Any]
"""Fits a trial's estimator to the rows of a sample; raises `SpecError` where it cannot be fit."""


def tune(spec: Spec, training_set: TrainingSet, fit: Fit) -> tuple[Trial, list[Trial]]:
    """The best trial by `training.metric`, and all of them in the order tried.

    The candidates take turns, one trial each; the folds of a turn's trials are computed together, by the
    engine that `EVERGREEN_COMPUTE` names. No trial of a turn learns from another of the same, so neither the
    engine nor its workers change which settings are tried. A candidate without a `search` has a single
    trial. One with a `search` gets `tuning.trials` settings from Optuna's TPE (Bergstra et al. 2011), seeded
    and none of them twice, or every setting where there are no more than that. After `tuning.within` no
    setting is proposed, but every candidate is tried once; the result then depends on the machine's speed. If
    there is only one trial in all, it is not scored. A setting that cannot be fit is recorded and skipped.
    Raises `SpecError` if no trial has a finite score, or a candidate without a search cannot be fit.
    """
    candidates = spec.training.candidates
    if len(candidates) == 1 and not candidates[0].search:
        only = Trial(0, dict(candidates[0].params))
        return only, [only]
    scoring = _Scoring(spec, training_set, fit)
    with spread(_fold, scoring.shared) as task:
        trials = list(_tried(spec, partial(scoring.scored, task)))
    finite = [trial for trial in trials if trial.finite]
    if not finite:
        problem = next((f" ({trial.problem})" for trial in trials if trial.problem), "")
        raise SpecError(
            f"{candidate_path(spec, 0)}: no candidate reached a finite {spec.training.metric} in "
            f"cross-validation{problem}: check that the estimators can give it, and the features"
        )
    return best_of(spec, finite), trials


def best_of(spec: Spec, trials: Iterable[Trial]) -> Trial:
    """The best of trials with finite scores; of equal ones the first of the candidate described first.

    So the order in the description is an order of preference.
    """
    return min(trials, key=lambda trial: (spec.metric.loss(trial.score or 0.0), trial.candidate))


@dataclass(frozen=True)
class _Folds:
    """What every fold of every trial is computed from: the rows that are not held out, and their folds."""

    spec: Spec
    sample: Sample = field(repr=False)
    folds: list[Fold] = field(repr=False)
    fit: Fit = field(repr=False)


@dataclass(frozen=True)
class _Asked:
    """One fold, by its number, of a trial."""

    trial: Trial
    fold: int

    def __str__(self) -> str:
        return f"fold {self.fold + 1} of the trial with {self.trial.params}"


def _fold(shared: _Folds, asked: _Asked) -> tuple[Predictions | SpecError, float]:
    """What a trial predicts of a fold, or why it cannot be fit; and the seconds that it took."""
    began = time.perf_counter()
    known, unseen = (shared.sample.taken(places) for places in shared.folds[asked.fold])
    found: Predictions | SpecError
    try:
        found = Predictions.of(shared.fit(shared.spec, asked.trial, known), unseen.features)
    except NotInstalledError:
        raise  # the candidate is not worse than another for that
    except SpecError as error:
        if not shared.spec.training.candidates[asked.trial.candidate].search:
            raise
        found = error
    return found, time.perf_counter() - began


class _Scoring:
    """Scores candidates' settings in the same folds of the rows that are not held out."""

    def __init__(self, spec: Spec, training_set: TrainingSet, fit: Fit) -> None:
        self._spec = spec
        known = ~training_set.holdout
        rows = training_set.rows[known]
        self._sample = Sample.of(training_set, known, groups_of(spec, training_set.rows))
        self._decides = spec.training.decision is not None and not spec.metric.of_probabilities
        self._classes = _classes(self._sample) if self._decides else ()
        if self._decides:
            check_decision(spec, self._classes)
        folds = folds_of(spec, rows[PARTITION], self._sample.target, self._sample.groups)
        self._folds = [fold for fold in folds if _scorable(spec, self._sample, fold)]
        if not self._folds:
            raise RefusedError(
                f"{spec.name}: candidates cannot be compared: {spec.training.metric} has no value in any "
                "fold, because the rows of each are of one class: give more rows of the others, or name "
                "another training.metric"
            )
        features = self._sample.features
        self.shared = _Folds(spec, self._sample, self._folds, fit)
        self._space = distance_space(features).transform(features) if spec.task is Task.CLUSTERING else None

    def scored(self, task: Spread, trials: Sequence[Trial]) -> list[Trial]:
        """The trials with their scores; `task` computes folds."""
        folds = range(len(self._folds))
        asked = [_Asked(trial, fold) for trial in trials for fold in folds]
        found = task.over(asked, named=lambda one: f"{self._spec.name}: {one}")
        return [
            self._with_score(trial, found[place * len(folds) : (place + 1) * len(folds)])
            for place, trial in enumerate(trials)
        ]

    def _with_score(self, trial: Trial, found: Sequence[tuple[Predictions | SpecError, float]]) -> Trial:
        began = time.perf_counter()
        spent = sum(seconds for _, seconds in found)
        predicted = [said for said, _ in found if isinstance(said, Predictions)]
        problem = next((said for said, _ in found if isinstance(said, SpecError)), None)
        if problem is not None:
            return replace(trial, score=math.nan, seconds=spent, problem=str(problem))
        pairs = zip(self._as_decided(predicted), self._folds, strict=True)
        folds = tuple(self._score(said, unseen) for said, (_, unseen) in pairs)
        seconds = spent + time.perf_counter() - began
        return replace(trial, score=float(np.mean(folds)), folds=folds, seconds=seconds)

    def _as_decided(self, found: list[Predictions]) -> list[Predictions]:
        """What is predicted of the folds, decided as the description asks for.

        The threshold is the one that the trial would be completed with. At another, such as that of the
        likeliest class, a metric of labels would compare decisions that nobody is going to make.
        """
        if not self._decides:
            return found
        rows = self._sample.taken(np.concatenate([unseen for _, unseen in self._folds]))
        learnt = learn_of(self._spec, self._classes, Predictions.joined(found), rows)
        return [learnt.decided(one) for one in found]

    def _score(self, found: Predictions, unseen: NDArray[np.intp]) -> float:
        scored = self._sample.taken(unseen)
        beside = found.beside(
            self._spec.task,
            scored.target,
            positive=self._spec.positive,
            space=None if self._space is None else self._space[unseen],
            weights=scored.weights,
            costs=self._spec.training.costs,
            seed=self._spec.training.seed,
        )
        return beside.value(self._spec.training.metric)


def _classes(sample: Sample) -> tuple[Any, ...]:
    assert sample.target is not None
    return tuple(sorted(sample.target.unique().tolist()))


def _scorable(spec: Spec, sample: Sample, fold: Fold) -> bool:
    """Whether the metric has a value on the rows that a fold scores, at least if all are predicted right."""
    if spec.task is not Task.CLASSIFICATION or sample.target is None:
        return True
    classes = _classes(sample)
    actual = sample.target.iloc[fold[1]].to_numpy()
    right = np.column_stack([actual == name for name in classes]).astype(np.float64)
    perfect = Predictions(actual, right, classes)
    beside = perfect.beside(spec.task, actual, costs=spec.training.costs)
    return math.isfinite(beside.value(spec.training.metric))


def _tried(spec: Spec, scored: Callable[[Sequence[Trial]], list[Trial]]) -> Iterator[Trial]:
    """The trials of all candidates as they are made, with a line in the log for each."""
    proposals = [proposals_of(spec, number) for number in range(len(spec.training.candidates))]
    total = sum(proposal.size for proposal in proposals)
    done: list[Trial] = []
    for turn in _turns(spec, proposals, _deadline(spec)):
        for trial in scored(turn):
            proposals[trial.candidate].learn(trial.score)
            done.append(trial)
            _report(spec, done, total)
            yield trial
    if len(done) < total:
        _log.info("%d of %d trials were made: the time or the settings were used up", len(done), total)


def _turns(spec: Spec, proposals: list[Proposals], over: Callable[[], bool]) -> Iterator[list[Trial]]:
    """Turns of one setting of each candidate that has more, until the time is over; the first has all."""

    def next_of(number: int) -> list[Trial]:
        setting = proposals[number].next()
        params = spec.training.candidates[number].params
        return [] if setting is None else [Trial(number, {**params, **setting})]

    yield [trial for number in range(len(proposals)) for trial in next_of(number)]
    while open_ := [number for number, proposal in enumerate(proposals) if not proposal.exhausted]:
        turn: list[Trial] = []
        for number in open_:
            if over():
                yield turn
                return
            turn += next_of(number)
        yield turn


def _deadline(spec: Spec) -> Callable[[], bool]:
    within = spec.training.tuning.within
    if within is None:
        return lambda: False
    end = time.monotonic() + within.total_seconds()
    return lambda: time.monotonic() >= end


def _report(spec: Spec, done: list[Trial], total: int) -> None:
    trial, finite = done[-1], [one for one in done if one.finite]
    best = f"{best_of(spec, finite).score:.6g}" if finite else "none"
    _log.info(
        "trial %d of %d: %s %s: %s %s, best so far %s",
        len(done),
        total,
        named(spec, trial.candidate),
        trial.params,
        spec.training.metric,
        f"{trial.score:.6g}" if trial.finite else trial.problem or "not finite",
        best,
    )
