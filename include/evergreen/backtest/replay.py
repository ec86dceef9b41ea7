"""One policy replayed over history: score a partition, measure, decide, perhaps train, go on. Pure.

It calls what the DAGs call, in the order in which nights go, and keeps in memory what they publish.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from evergreen.backtest.history import History
from evergreen.backtest.policies import Policy
from evergreen.errors import NothingToDoError
from evergreen.evaluation.evaluate import Champion, evaluate
from evergreen.evaluation.gate import Outcome, judge
from evergreen.evaluation.metrics import compute
from evergreen.monitoring.measure import measure, needs_model
from evergreen.monitoring.policy import blocked
from evergreen.monitoring.record import Record
from evergreen.monitoring.reference import build_reference
from evergreen.scoring.predict import ACTUAL, PREDICTION, prediction_frame
from evergreen.spec import Resources, Spec
from evergreen.training.dataset import assemble, window_start
from evergreen.training.fit import fit_challenger

Progress = Callable[[str, int], None]
"""Called with a policy's name and how many more partitions of it are done."""


@dataclass(frozen=True)
class PolicyResult:
    """What a policy came to: `value` is `metric` over all scored rows of the stretch, None without any."""

    policy: str
    metric: str
    value: float | None
    trainings: int
    promotions: int
    refusals: int
    seconds: float


@dataclass
class _State:
    """What has happened so far. `trainings` are the as-of keys, promoted or refused."""

    champion: Champion | None = None
    reference: dict[str, Any] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    trainings: list[str] = field(default_factory=list)
    promotions: int = 0
    scored: list[pd.DataFrame] = field(default_factory=list)


def replay(
    spec: Spec,
    history: History,
    policy: Policy,
    first: str,
    last: str,
    *,
    progress: Progress,
    pretrained: Mapping[int, Any] = {},
) -> PolicyResult:
    """Replay the published partitions from `first` to `last`, both included, under one policy.

    The first model is trained as of the first partition of the stretch before which `training.minimum`
    partitions lie in the window; a training decided on after a partition is as of the one after it. Nothing
    that is done for a partition depends on a later one. `pretrained` holds loaded models by candidate number.
    """
    began, state = time.perf_counter(), _State()
    for partition in history.published(first, spec.calendar.shift(last, 1)):
        if state.champion is None and _may_train_first(spec, history, state, partition):
            _train(spec, history, state, partition, pretrained)
        if state.champion is not None:
            record = _score_and_measure(spec, history, state, partition)
            state.records.append(record)
            following = spec.calendar.shift(partition, 1)
            if following <= last and policy.decide(spec, state.records, state.trainings).retrain:
                _train(spec, history, state, following, pretrained)
        progress(policy.name, 1)
    return PolicyResult(
        policy=policy.name,
        metric=spec.training.metric,
        value=_value(spec, state),
        trainings=len(state.trainings),
        promotions=state.promotions,
        refusals=len(state.trainings) - state.promotions,
        seconds=round(time.perf_counter() - began, 1),
    )


def _may_train_first(spec: Spec, history: History, state: _State, as_of: str) -> bool:
    enough = len(history.published(window_start(spec, as_of), as_of)) >= spec.training.minimum
    return enough and (not state.trainings or blocked(spec, as_of, state.trainings) is None)


def _train(spec: Spec, history: History, state: _State, as_of: str, pretrained: Mapping[int, Any]) -> None:
    try:
        training_set = assemble(spec, history.before(as_of), as_of, None, {})
    except NothingToDoError:
        # As in a night: the training is skipped, and whoever wants one may ask again.
        return
    challenger = fit_challenger(spec, training_set, pretrained)
    evaluation = evaluate(_without_clock(spec), training_set, challenger, state.champion)
    state.trainings.append(as_of)
    # Where a person is always asked, they are taken to say yes to what holds everything.
    if judge(_without_clock(spec), evaluation).outcome in (Outcome.ACCEPTED, Outcome.APPROVAL):
        predictions = challenger.final.predict(training_set.features)
        state.reference = build_reference(spec, training_set, evaluation, predictions)
        state.champion = Champion(training_set.version, as_of, challenger.final)
        state.promotions += 1


def _without_clock(spec: Spec) -> Spec:
    """The description without limits on time and memory, which replays side by side would measure wrong."""
    return spec.model_copy(update={"gate": spec.gate.model_copy(update={"resources": Resources()})})


def _score_and_measure(spec: Spec, history: History, state: _State, partition: str) -> Record:
    champion = state.champion
    assert champion is not None
    features = history.features(partition)
    own = history.own_rows(partition).loc[features.index]
    predictions = prediction_frame(spec, champion.model, own, features)
    state.scored.append(predictions)
    return measure(
        spec,
        state.reference,
        features,
        predictions,
        partition=partition,
        version=champion.version,
        as_of=champion.as_of,
        published=history.partitions,
        model=champion.model,
    )


def _value(spec: Spec, state: _State) -> float | None:
    labelled = sum(record.labelled for record in state.records if record.error is not None)
    if not labelled:
        return None
    if needs_model(spec):
        # Published predictions hold no probabilities. The mean of the partitions' values, weighted by rows,
        # is the value of all rows for a mean over rows, and the usual day's for an area under a curve.
        total = sum(record.error * record.labelled for record in state.records if record.error is not None)
        return total / labelled
    rows = pd.concat(state.scored, ignore_index=True)
    rows = rows[rows[ACTUAL].notna()]
    value = compute(spec.task, rows[ACTUAL], rows[PREDICTION])[spec.training.metric]
    return value if math.isfinite(value) else None
