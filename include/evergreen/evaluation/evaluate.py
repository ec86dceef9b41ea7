"""The evaluation: challenger, dummy baseline and champion on rows that were held out."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evergreen.errors import one_line
from evergreen.evaluation import compare as comparing
from evergreen.evaluation.bootstrap import Interval, Resampling
from evergreen.evaluation.calibration import calibration_error
from evergreen.evaluation.champion import Champion, Compared, compared
from evergreen.evaluation.chance import Chance, chance
from evergreen.evaluation.compare import Comparison
from evergreen.evaluation.coverage import CoverageResult, measure_coverage
from evergreen.evaluation.dummy import baseline_rule, dealt_at_random, dummy_predictions
from evergreen.evaluation.fairness import FairnessResult, measure_fairness
from evergreen.evaluation.resources import ResourceUse, measure_resources
from evergreen.evaluation.slices import SliceResult, measure_slices
from evergreen.json_values import json_values, number_or_nan
from evergreen.lake import PARTITION
from evergreen.metrics import metric_named, metrics_of
from evergreen.metrics.distance_space import distance_space
from evergreen.metrics.measured import Measured
from evergreen.metrics.predictions import Predictions
from evergreen.spec import ChampionRule, Spec, Task
from evergreen.spec.metrics_by_place import metrics_by_place

if TYPE_CHECKING:
    from evergreen.candidates.fit import Challenger
    from evergreen.training_set.assemble import TrainingSet

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """What was measured, metrics by name. `metric` is the one that decides.

    Measured on all `rows` of the hold-out: `challenger` with its `intervals`, `baseline` and the comparison
    with it `against_baseline`, `fairness`, `calibration` (expected calibration error, None without
    probabilities) and `coverage` (of each level, () without intervals). `chance` is for a first champion of
    a task with a truth.

    Measured on the `compared_rows` of it: `champion` (its `version`, `as_of` and `metrics`, or the `problem`
    why it has none, and the facts of `evergreen.evaluation.champion.Compared`),
    `challenger_on_champion_rows`, `comparison` and `slices`.

    `resources` is None where the description sets no limit on them.
    """

    metric: str
    challenger: dict[str, float]
    baseline: dict[str, float]
    champion: dict[str, Any] | None
    challenger_on_champion_rows: dict[str, float] | None
    rows: int
    compared_rows: int
    intervals: dict[str, Interval] = field(default_factory=dict)
    comparison: Comparison | None = None
    against_baseline: Comparison | None = None
    chance: Chance | None = None
    slices: tuple[SliceResult, ...] = ()
    fairness: tuple[FairnessResult, ...] = ()
    calibration: float | None = None
    coverage: tuple[CoverageResult, ...] = ()
    resources: ResourceUse | None = None

    @property
    def clauses(self) -> tuple[str, str, str]:
        """The evaluation in plain words: of the challenger, of the baseline and beside the champion."""
        name = self.metric
        own = f"{metric_named(name).with_unit} {_number(self.challenger, name)} on {self.rows} hold-out rows"
        dummy = f"dummy baseline {_number(self.baseline, name)}"
        if self.champion is None:
            return own, dummy, "no champion yet"
        here, theirs = self.challenger_on_champion_rows, self.champion.get("metrics")
        beside = (
            f"{_number(here, name)} against {_number(theirs, name)} of champion "
            f"{self.champion['version']} on the {self.compared_rows} rows they are compared on"
        )
        return own, dummy, beside

    def to_dict(self) -> dict[str, Any]:
        """The evaluation as JSON values: a number that is not finite becomes null."""
        measured = {
            "intervals": {name: interval.to_dict() for name, interval in self.intervals.items()},
            "comparison": self.comparison and self.comparison.to_dict(),
            "against_baseline": self.against_baseline and self.against_baseline.to_dict(),
            "chance": self.chance and self.chance.to_dict(),
            "slices": [result.to_dict() for result in self.slices],
            "fairness": [result.to_dict() for result in self.fairness],
            "coverage": [result.to_dict() for result in self.coverage],
            "resources": self.resources and self.resources.to_dict(),
        }
        content: dict[str, Any] = json_values({**vars(self), **measured})
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Evaluation:
        """The evaluation that `to_dict` wrote, or an earlier one that had no more than metrics."""
        champion = content["champion"]
        comparison, resources = content.get("comparison"), content.get("resources")
        against_baseline, by_chance = content.get("against_baseline"), content.get("chance")
        return cls(
            metric=content["metric"],
            challenger=_with_nan(content["challenger"]) or {},
            baseline=_with_nan(content["baseline"]) or {},
            champion=champion and {**champion, "metrics": _with_nan(champion.get("metrics"))},
            challenger_on_champion_rows=_with_nan(content["challenger_on_champion_rows"]),
            rows=int(content["rows"]),
            compared_rows=int(content["compared_rows"]),
            intervals={name: Interval.from_dict(i) for name, i in content.get("intervals", {}).items()},
            comparison=comparison and Comparison.from_dict(comparison),
            against_baseline=against_baseline and Comparison.from_dict(against_baseline),
            chance=by_chance and Chance.from_dict(by_chance),
            slices=tuple(SliceResult.from_dict(result) for result in content.get("slices", ())),
            fairness=tuple(FairnessResult.from_dict(result) for result in content.get("fairness", ())),
            calibration=content.get("calibration"),
            coverage=tuple(CoverageResult.from_dict(result) for result in content.get("coverage", ())),
            resources=None if resources is None else ResourceUse.from_dict(resources),
        )


def evaluate(
    spec: Spec, training_set: TrainingSet, challenger: Challenger, champion: Champion | None
) -> Evaluation:
    """Measure the challenger (fit without the hold-out), the baseline and the champion; each predicts once.

    The champion is compared on the hold-out rows that neither model was trained on, if there are some: see
    `evergreen.evaluation.champion.compared`. For clustering the metrics are of the labels that the models
    give the hold-out rows, in the space of `evergreen.metrics.distance_space`. Rows count by their weights in
    all metrics, intervals and comparisons. Resources are those of the final model, where `gate.resources`
    sets limits. Raises `SpecError` for a slice or group by a column that does not exist.
    """
    held = training_set.holdout
    beside = champion.version if champion else "the baseline: there is no champion yet"
    _log.info("%s: measuring the challenger beside %s", spec.name, beside)
    features = training_set.features[held]
    rows = _Rows.held_out(spec, training_set)
    own = Predictions.of(challenger.evaluated, features)
    calibration = _calibration(spec, rows, own)
    found, dummy = rows.measured(own), rows.measured(_dummy(spec, training_set, own))
    return Evaluation(
        metric=spec.training.metric,
        challenger=found.values,
        baseline=dummy.values,
        against_baseline=rows.compare(found, dummy, baseline_rule(spec, first=champion is None)),
        chance=_chance(spec, found) if champion is None else None,
        **_against_champion(spec, training_set, rows, own, found, champion=champion),
        rows=len(features),
        intervals=rows.intervals(found),
        fairness=measure_fairness(
            spec,
            training_set,
            found.taken,
        ),
        calibration=calibration if math.isfinite(calibration) else None,
        coverage=rows.coverage(own),
        resources=measure_resources(spec.gate.resources, challenger.final, features),
    )


@dataclass(frozen=True)
class _Rows:
    """What n rows are measured by: the truth, weights, positions of their partitions in time, and space.

    `times` (n,) orders the rows in time.
    """

    spec: Spec
    actual: NDArray[Any] | None
    weights: NDArray[np.float64] | None
    units: NDArray[np.intp] | None
    space: NDArray[np.float64] | None
    times: NDArray[Any] | None = None

    @classmethod
    def held_out(cls, spec: Spec, training_set: TrainingSet) -> _Rows:
        """The hold-out of a training set."""
        held, target, weights = training_set.holdout, training_set.target, training_set.weights
        space = None
        if spec.task is Task.CLUSTERING:
            known = distance_space(training_set.features[~held])
            space = np.asarray(known.transform(training_set.features[held]))
        return cls(
            spec,
            actual=None if target is None else target[held].to_numpy(),
            weights=None if weights is None else weights[held],
            units=positions(spec, training_set.rows[PARTITION][held]),
            space=space,
            times=training_set.rows[spec.time_column][held].to_numpy()
            if spec.time_column in training_set.rows
            else None,
        )

    def taken(self, rows: NDArray[Any]) -> _Rows:
        """Some of the rows: a mask (n,) or positions (m,)."""
        parts = (self.actual, self.weights, self.units, self.space, self.times)
        return _Rows(self.spec, *(None if part is None else part[rows] for part in parts))

    def measured(self, predictions: Predictions) -> Measured:
        """A model's predictions of these rows beside the truth; metrics on request only if they are named."""
        found = predictions.beside(
            self.spec.task,
            self.actual,
            positive=self.spec.positive,
            space=self.space,
            weights=self.weights,
            costs=self.spec.training.costs,
            seed=self.spec.training.seed,
        )
        asked = metrics_by_place(self.spec.training, self.spec.gate, self.spec.monitoring).values()
        others = {metric.name for metric in metrics_of(self.spec.task) if metric.on_request}
        return replace(found, left_out=frozenset(others.difference(asked)))

    def intervals(self, own: Measured) -> dict[str, Interval]:
        rule, seed = self.spec.champion_rule, self.spec.training.seed
        return comparing.intervals(own, units=self.units, rule=rule, seed=seed, times=self.times)

    def coverage(self, own: Predictions) -> tuple[CoverageResult, ...]:
        rule, seed = self.spec.champion_rule, self.spec.training.seed
        resampling = Resampling.of(self.units, len(own), rule, seed, self.times)
        return measure_coverage(self.actual, own, resampling, rule.confidence, self.weights)

    def compare(self, own: Measured, theirs: Measured, rule: ChampionRule | None = None) -> Comparison:
        """The comparison by a rule, by default that of `gate.champion`."""
        rule, training = rule or self.spec.champion_rule, self.spec.training
        return comparing.compare(
            training.metric, own, theirs, units=self.units, rule=rule, seed=training.seed, times=self.times
        )


def _against_champion(
    spec: Spec,
    training_set: TrainingSet,
    rows: _Rows,
    own: Predictions,
    found: Measured,
    *,
    champion: Champion | None,
) -> dict[str, Any]:
    """The fields of an evaluation that depend on the champion; `found` is the challenger on all rows."""
    held = training_set.holdout
    if champion is None:
        return {
            "champion": None,
            "challenger_on_champion_rows": None,
            "compared_rows": 0,
            "slices": measure_slices(spec, training_set, held, None),
        }
    other = compared(spec, training_set, champion)
    shared = other.rows
    if not shared[held].all():
        rows, own = rows.taken(shared[held]), own.taken(shared[held])
        found = rows.measured(own)
    features = training_set.features if champion.features is None else champion.features
    theirs, of_theirs, problem = _of_champion(other, features[shared], rows)
    comparison = compare = None
    if theirs is not None and of_theirs is not None:
        comparison, compare = rows.compare(found, of_theirs), partial(_compared, rows, own, theirs)
    return {
        "champion": {
            "version": champion.version,
            "as_of": champion.as_of,
            "metrics": of_theirs and of_theirs.values,
            "problem": problem,
            **other.facts(),
        },
        "challenger_on_champion_rows": found.values,
        "compared_rows": int(shared.sum()),
        "comparison": comparison,
        "slices": measure_slices(spec, training_set, shared, compare),
    }


def _of_champion(
    other: Compared, features: pd.DataFrame, rows: _Rows
) -> tuple[Predictions | None, Measured | None, str | None]:
    """The champion's predictions, alone and beside the truth, or in words why there are none."""
    if other.problem is not None:
        return None, None, other.problem
    try:
        predictions = Predictions.of(other.model, features)
        return predictions, rows.measured(predictions), None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        # It was trained on other features: the gate does not accept the challenger then, and says why.
        return None, None, f"it does not fit today's features: {one_line(error)}"


def _compared(rows: _Rows, own: Predictions, theirs: Predictions, places: NDArray[np.intp]) -> Comparison:
    some = rows.taken(places)
    return some.compare(some.measured(own.taken(places)), some.measured(theirs.taken(places)))


def _dummy(spec: Spec, training_set: TrainingSet, own: Predictions) -> Predictions:
    if training_set.target is None:
        return dealt_at_random(own.labels, spec.training.seed)
    known, weights = ~training_set.holdout, training_set.weights
    return dummy_predictions(
        spec.metric,
        training_set.target[known],
        None if weights is None else weights[known],
        len(own),
        positive=spec.positive,
        costs=spec.training.costs,
    )


def _calibration(spec: Spec, rows: _Rows, own: Predictions) -> float:
    if rows.actual is None:
        return math.nan
    return calibration_error(rows.actual, own, rows.weights, spec.positive)


def _chance(spec: Spec, own: Measured) -> Chance | None:
    """Clusters have no truth that chance could be told from: the dummy's are dealt at random already."""
    if spec.task is Task.CLUSTERING:
        return None
    return chance(spec.training.metric, own, spec.champion_rule.one_sided, spec.training.seed)


def positions(spec: Spec, partitions: pd.Series) -> NDArray[np.intp] | None:
    """The place in time of each row's partition (n,), of its day where it is an hour; None without time."""
    if not spec.calendar.has_time:
        return None
    codes, keys = pd.factorize(partitions, sort=True)
    place = {key: number for number, key in enumerate(spec.calendar.between(keys[0], keys[-1]))}
    positions = np.asarray([place[key] for key in keys], dtype=np.intp)
    return (positions // spec.calendar.grain.facts.unit)[codes]


def _number(metrics: Mapping[str, float] | None, name: str) -> str:
    value = (metrics or {}).get(name, math.nan)
    return f"{value:.4g}" if math.isfinite(value) else "unknown"


def _with_nan(metrics: Mapping[str, float | None] | None) -> dict[str, float] | None:
    if metrics is None:
        return None
    return {name: number_or_nan(value) for name, value in metrics.items()}
