"""One policy replayed over history: score a partition, measure, decide, perhaps train, go on. Pure.

It calls the same functions as the DAGs, in the same order, and keeps in memory what the DAGs publish.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from evergreen.backtest.history import History
from evergreen.backtest.policies import Policy
from evergreen.backtest.result import Event, Night, PolicyResult, detections
from evergreen.backtest.work import Trained, Work
from evergreen.errors import NothingToDoError, RefusedError
from evergreen.evaluation.verdict import Outcome
from evergreen.json_values import finite_or_none
from evergreen.metrics.predictions import Predictions
from evergreen.monitoring.breaker import breaker
from evergreen.monitoring.policy import blocked
from evergreen.monitoring.trainings import Training, on_trial
from evergreen.signals.record import Record
from evergreen.spec import Spec, Task
from evergreen.training_set.window import Change, window_start

Progress = Callable[[str, int], None]
"""Called with a policy's name and how many more partitions of it are done."""


def silent(policy: str, partitions: int) -> None:
    """Ignore progress."""


@dataclass
class _Spent:
    """Seconds that each part took when it was first computed."""

    fit: float = 0.0
    predict: float = 0.0
    measure: float = 0.0
    decide: float = 0.0


@dataclass
class _State:
    """What has happened so far.

    `predictions` are by partition, `challengers` by version, and so is what the champion `before` promised.
    """

    champion: Trained | None = None
    of_champion: list[Record] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    predictions: dict[str, Predictions] = field(default_factory=dict)
    trainings: list[Training] = field(default_factory=list)
    challengers: dict[str, Trained] = field(default_factory=dict)
    before: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    nights: list[Night] = field(default_factory=list)
    spent: _Spent = field(default_factory=_Spent)


def replay(
    spec: Spec,
    history: History,
    policy: Policy,
    first: str,
    last: str,
    *,
    progress: Progress = silent,
    pretrained: Mapping[int, Any] = {},
    work: Work | None = None,
    known: Sequence[str] | None = None,
) -> PolicyResult:
    """Replay the published partitions from `first` to `last`, both included, under one policy.

    The first model is trained as of the first partition of the range with `training.minimum` partitions in
    the window before it. A training decided on after a partition is as of the next partition. Nothing that is
    done for a partition depends on a later one. `pretrained` holds loaded models by candidate number. `work`,
    of the same description and history, shares results between replays. `known` are the days on which the
    data is known to change; empty for data that never does.
    """
    night = _Replay(policy, policy.of(spec), history, work or Work(spec, history, pretrained=pretrained))
    for partition in history.published(first, spec.calendar.shift(last, 1)):
        night.play(partition, last)
        progress(policy.name, 1)
    return night.result(known)


def may_train_first(spec: Spec, history: History, as_of: str) -> bool:
    """Whether enough partitions are published before one for a first training as of it."""
    minimum = spec.calendar.count(spec.training.minimum, before=as_of)
    return len(history.published(window_start(spec, as_of), as_of)) >= minimum


@dataclass
class _Replay:
    """A policy's replay under way; `spec` is the description with the policy's own rules."""

    policy: Policy
    spec: Spec
    history: History
    work: Work
    state: _State = field(default_factory=_State)

    def play(self, partition: str, last: str) -> None:
        """One night, and the training it asks for unless it is the last."""
        state = self.state
        if state.champion is None and self._may_train_first(partition):
            self._train(partition, None, "first", "first training: there is no champion yet")
        if state.champion is None:
            return
        record = self._score(state.champion, partition)
        began = time.perf_counter()
        decision = self.policy.decide(self.spec, state.records, state.trainings)
        state.spent.decide += time.perf_counter() - began
        # The counts are needed only to pool nights.
        state.nights.append(Night(replace(record, counts={}, trial={}), decision))
        following = self.spec.calendar.shift(partition, 1)
        if decision.promotes:
            self._promote(decision.promotes, following, decision.change)
        if decision.retrain and following <= last:
            kind = "+".join(decision.evidence.get("firing", ())) or "schedule"
            self._train(following, partition, kind, decision.reason, change=decision.change)

    def result(self, known: Sequence[str] | None) -> PolicyResult:
        """The result."""
        state, spent = self.state, self.state.spent
        answers = known is not None and not self.policy.fixed
        alarms, delays = detections(self.spec.calendar, state.events, known or ())
        promotions = sum(event.promoted for event in state.events)
        value, *further = self._values()
        metrics = self.spec.watched_metrics[1:]
        return PolicyResult(
            policy=self.policy.name,
            metric=self.spec.training.metric,
            value=value,
            trainings=len(state.events),
            promotions=promotions,
            refusals=len(state.events) - promotions,
            seconds=round(spent.fit + spent.predict + spent.measure + spent.decide, 2),
            fit_seconds=round(spent.fit, 2),
            predict_seconds=round(spent.predict, 2),
            measure_seconds=round(spent.measure, 2),
            false_alarms=alarms if answers else None,
            delays=delays if answers else None,
            metrics={metric.name: found for metric, found in zip(metrics, further, strict=True)},
            events=tuple(state.events),
            nights=tuple(state.nights),
        )

    def _may_train_first(self, as_of: str) -> bool:
        trainings = self.state.trainings
        enough = may_train_first(self.spec, self.history, as_of)
        halt = breaker(self.spec, as_of, trainings)
        return enough and (not trainings or blocked(self.spec, as_of, trainings, halt) is None)

    def _train(
        self, as_of: str, partition: str | None, kind: str, reason: str, *, change: Change | None = None
    ) -> None:
        state = self.state
        try:
            challenger = self.work.trained(as_of, change)
        except (NothingToDoError, RefusedError):
            # As in a night: nothing is trained, and a later night may ask again.
            return
        judged = self.work.judged(challenger, state.champion)
        state.spent.fit += challenger.fit_seconds
        state.spent.measure += challenger.other_seconds + judged.seconds
        state.trainings.append(Training(as_of, judged.outcome.value, kind, challenger.version, change=change))
        estimator = str(challenger.candidate["estimator"])
        state.events.append(
            Event(
                as_of, partition, kind, reason, challenger.version, estimator, judged.outcome, judged.failed
            )
        )
        state.challengers[challenger.version] = challenger
        if state.of_champion:
            newest = state.of_champion[-1]
            state.before[challenger.version] = {"version": newest.version, "promised": newest.promised}
        if judged.promoted:
            state.champion, state.of_champion = challenger, []

    def _promote(self, version: str, as_of: str, change: Change | None) -> None:
        """Put the challenger in force whose trial is decided."""
        state = self.state
        place = next(n for n, event in enumerate(state.events) if event.version == version)
        event = replace(state.events[place], outcome=Outcome.PROMOTED, in_force=as_of)
        state.events[place] = event
        state.trainings.append(Training(event.as_of, "promoted", event.kind, version, as_of, change))
        state.champion, state.of_champion = state.challengers[version], []

    def _score(self, champion: Trained, partition: str) -> Record:
        state = self.state
        earlier = None if self.policy.fixed else state.of_champion
        scored = self.work.scored(self.spec, champion, partition, earlier)
        state.spent.predict += scored.predict_seconds
        state.spent.measure += scored.measure_seconds
        record = replace(scored.record, before=state.before.get(champion.version, {}))
        if rival := on_trial(self.spec, state.trainings):
            trial = self.work.tried(self.spec, champion, state.challengers[rival.version], partition)
            record = replace(record, trial=trial)
        state.of_champion.append(record)
        state.records.append(record)
        state.predictions[partition] = scored.predictions
        return record

    def _values(self) -> list[float | None]:
        """Each metric that nights are measured by, the training metric first, over all rows with a label."""
        state, spec = self.state, self.spec
        metrics = spec.watched_metrics
        if spec.task is Task.CLUSTERING or not any(record.labelled for record in state.records):
            return [None] * len(metrics)
        own = [self.history.own_rows(partition) for partition in state.predictions]
        actual = pd.concat(own, ignore_index=True)[spec.target]
        seen = actual.notna().to_numpy()
        predicted = Predictions.joined(list(state.predictions.values())).taken(seen)
        measured = predicted.beside(
            spec.task, actual[seen], positive=spec.positive, costs=spec.training.costs
        )
        return [finite_or_none(measured.value(metric.name)) for metric in metrics]
