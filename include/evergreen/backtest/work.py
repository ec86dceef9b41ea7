"""What replays share: challengers, verdicts and measured nights, each computed once for all policies.

A training as of a partition depends on the rows before it, the description and the code, but not on the
policy. The same holds for the verdict on a challenger against one champion, and for the measurements of a
champion's night. A policy only decides which of them are needed.

The name of each contains a digest of what it depends on and of nothing else. So after a change of the gate
the trainings and measurements are found again, and only the verdicts are computed anew.
"""

from __future__ import annotations

import hashlib
import json
import time
import zlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from evergreen.backtest.adapting import Adapting
from evergreen.backtest.cache import Cache
from evergreen.backtest.held_out import HeldOut, predictions_from_dict, predictions_to_dict
from evergreen.backtest.history import History
from evergreen.candidates.fit import Challenger, fit_challenger
from evergreen.drift.joint import JOINT
from evergreen.evaluation.champion import Champion
from evergreen.evaluation.evaluate import evaluate
from evergreen.evaluation.gate import judge
from evergreen.evaluation.verdict import Outcome
from evergreen.metrics.predictions import Predictions, classes_of, levels_of
from evergreen.monitoring.measure import error_alone, estimates, measure, trial_alone
from evergreen.monitoring.reference import Reference, build_reference
from evergreen.monitoring.trial import Rival
from evergreen.registry.model_file import dump_model, load_model
from evergreen.scoring.predict import prediction_frame
from evergreen.scoring.published import read_published
from evergreen.signals import SIGNALS
from evergreen.signals.drift import DRIFT
from evergreen.signals.performance import PERFORMANCE
from evergreen.signals.record import Record
from evergreen.spec import Resources, Spec
from evergreen.training_set.assemble import TrainingSet, assemble
from evergreen.training_set.digest import code_digest, own_code, spec_digest, version_id
from evergreen.training_set.window import Change, read_start

_MODELS = 8  # in memory
_SETS = 2

OF_TRAININGS = (
    "backtest/cache",
    "backtest/held_out",
    "backtest/history",
    "backtest/work",
    "boosters",
    "calendar",
    "candidates",
    "contributions",
    "days",
    "decisions",
    "features",
    "intervals",
    "labels",
    "metrics",
    "registry",
    "spec/decision",
    "spec/features",
    "spec/intervals",
    "spec/labels",
    "spec/positive",
    "spec/spec",
    "spec/training",
    "task",
    "training_set",
)
"""The code that bears on a training: packages, and modules by their paths."""

OF_NIGHTS = ("asked", "backtest/adapting", "drift", "evaluation", "monitoring", "scoring", "signals")
"""The code that bears on the measurements of a night, beside those of trainings."""


@dataclass(frozen=True)
class Trained:
    """A challenger: its `version` and candidate, and its `key` in the cache, which depends on its rows too.

    `change` is the break that its training was asked for with. `fit_seconds` is how long it took to fit, and
    `other_seconds` the rest (assembling the rows, storing the models), both at the time when it was trained.
    """

    key: str
    as_of: str
    version: str
    candidate: dict[str, Any] = field(repr=False)
    fit_seconds: float = field(compare=False)
    other_seconds: float = field(compare=False)
    change: Change | None = None


@dataclass(frozen=True)
class Judged:
    """The gate's verdict on a challenger, with the details of the checks that did not pass."""

    outcome: Outcome
    failed: tuple[str, ...]
    seconds: float = field(compare=False)

    @property
    def promoted(self) -> bool:
        """Whether it is in force: a person or shadow that is waited for is assumed to approve what passed."""
        return self.outcome is Outcome.PROMOTED


@dataclass(frozen=True)
class Scored:
    """A partition scored and measured: the predictions of its rows in their order, and the record.

    There are probabilities where a metric is made of them: all rows of a replay are measured together.
    """

    record: Record
    predictions: Predictions = field(repr=False)
    predict_seconds: float = field(compare=False)
    measure_seconds: float = field(compare=False)


class Work:
    """Trains, judges and scores on demand, and caches the results.

    `pretrained` holds loaded models by candidate number. Results are bit-identical whether they come from the
    cache or not. An object belongs to one process; several processes may share the folder of a cache.
    """

    def __init__(
        self, spec: Spec, history: History, cache: Cache | None = None, pretrained: Mapping[int, Any] = {}
    ) -> None:
        # Time and memory cannot be measured right while replays run in parallel.
        gate = spec.gate.model_copy(update={"resources": Resources()})
        self._spec = spec.model_copy(update={"gate": gate})
        self._history = history
        self._cache = cache or Cache(None)
        self._pretrained = pretrained
        self._models: OrderedDict[str, Any] = OrderedDict()
        self._sets: OrderedDict[str, TrainingSet] = OrderedDict()
        self._adapting = Adapting(history)
        self._references: dict[str, Reference] = {}

    def trained(self, as_of: str, change: Change | None = None) -> Trained:
        """The challenger as of a partition, of the window since a `change` where the description asks for it.

        If several processes want the same challenger, one trains it and the others wait. Raises
        `NothingToDoError` where there is too little to train on.
        """
        key = f"{as_of}/{self._history.digest(read_start(self._spec, as_of, change), as_of)}"
        if (found := self._kept_challenger(key, change)) is not None:
            return found
        with self._cache.claim(key):
            return self._kept_challenger(key, change) or self._train(key, as_of, change)

    def judged(self, challenger: Trained, champion: Trained | None) -> Judged:
        """The gate's verdict on a challenger against a champion (None: there is no champion yet)."""
        name = f"verdict/{self._judging}/{challenger.key}/{champion.key if champion else 'none'}"
        if (body := self._cache.get(name)) is None:
            began = time.perf_counter()
            other = None
            if champion is not None:
                other = Champion(champion.version, champion.as_of, self._model(champion))
            evaluation = evaluate(self._spec, self._set(challenger), self._challenger(challenger), other)
            verdict = judge(self._spec, evaluation)
            body = _packed(
                {
                    "outcome": str(verdict.outcome),
                    "failed": [check.detail for check in verdict.checks if not check.passed],
                    "seconds": time.perf_counter() - began,
                }
            )
            self._cache.put({name: body})
        content = _unpacked(body)
        return Judged(Outcome(content["outcome"]), tuple(content["failed"]), content["seconds"])

    def scored(
        self, spec: Spec, champion: Trained, partition: str, earlier: Sequence[Record] | None
    ) -> Scored:
        """The predictions and measurements of a partition under a champion and a policy's description.

        `earlier` are the records of the champion's nights before, oldest first. Without, only the error is
        measured: nobody asks for more of a schedule that is fixed, and the rest takes ten times as long.
        """
        end = self._spec.calendar.shift(partition, 1)
        rows = self._history.digest(read_start(spec, champion.as_of), end)
        kind = "error" if earlier is None else "night"
        name = f"{kind}/{_measuring(spec)}/{champion.key}/{partition}/{rows}"
        if (body := self._cache.get(name)) is None:
            body = _packed(self._measured(spec, champion, partition, earlier))
            self._cache.put({name: body})
        content = _unpacked(body)
        return Scored(
            Record(**content["record"], version=champion.version),
            predictions_from_dict(content["predictions"]),
            *content["seconds"],
        )

    def tried(self, spec: Spec, champion: Trained, challenger: Trained, partition: str) -> dict[str, Any]:
        """What a partition's record keeps of the trial of a challenger beside the champion."""
        end = self._spec.calendar.shift(partition, 1)
        rows = self._history.digest(read_start(spec, champion.as_of), end)
        name = f"trial/{_measuring(spec)}/{champion.key}/{challenger.key}/{partition}/{rows}"
        if (body := self._cache.get(name)) is None:
            model, features = self._model(champion), self._history.features(partition)
            own = self._history.own_rows(partition).loc[features.index]
            predictions = prediction_frame(spec, model, own, features)
            rival = Rival(challenger.version, self._model(challenger))
            body = _packed(trial_alone(spec, features, predictions, rival, classes_of(model)))
            self._cache.put({name: body})
        found = _unpacked(body)
        # A version is also named by the gate, which does not bear on what is measured.
        return {**found, "version": challenger.version} if found else {}

    def _train(self, key: str, as_of: str, change: Change | None) -> Trained:
        began = time.perf_counter()
        training_set = self._assembled(as_of, change)
        ready = time.perf_counter()
        challenger = fit_challenger(self._spec, training_set, self._pretrained)
        fit = time.perf_counter()
        number = next((n for n, model in self._pretrained.items() if model is challenger.final), None)
        held = HeldOut(Predictions.of(challenger.evaluated, training_set.features[training_set.holdout]))
        bodies = {f"evaluated/{key}": _packed(held.to_dict())}
        if number is None:
            bodies[f"final/{key}"] = zlib.compress(dump_model(challenger.final), 1)
        self._remember(f"final/{key}", challenger.final)
        self._sets[key] = training_set
        self._forget()
        other = ready - began + time.perf_counter() - fit
        content = {
            "data": training_set.lineage["digests"]["data"],
            "candidate": challenger.candidate,
            "fit_seconds": fit - ready,
            "other_seconds": other,
            "pretrained": number,
        }
        self._cache.put({**bodies, f"challenger/{key}": _packed(content)})
        return self._named(key, content, change)

    def _assembled(self, as_of: str, change: Change | None) -> TrainingSet:
        reason = {"evidence": {"change": change.to_dict()}} if change else {}
        return assemble(self._spec, self._history.before(as_of), as_of, None, reason)

    def _kept_challenger(self, key: str, change: Change | None) -> Trained | None:
        body = self._cache.get(f"challenger/{key}")
        if body is None:
            return None
        content = _unpacked(body)
        if (number := content["pretrained"]) is not None:
            self._remember(f"final/{key}", self._pretrained[number])
        return self._named(key, content, change)

    def _named(self, key: str, content: Mapping[str, Any], change: Change | None) -> Trained:
        as_of = key.partition("/")[0]
        version = version_id(as_of, {"data": content["data"], **self._digests})
        candidate, seconds = content["candidate"], (content["fit_seconds"], content["other_seconds"])
        return Trained(key, as_of, version, candidate, *seconds, change=change)

    @cached_property
    def _digests(self) -> dict[str, str]:
        return {"spec": spec_digest(self._spec), "code": code_digest(self._spec)}

    @cached_property
    def _judging(self) -> str:
        """Digest of what bears on a verdict."""
        return _digest(self._digests)

    def _measured(
        self, spec: Spec, champion: Trained, partition: str, earlier: Sequence[Record] | None
    ) -> dict[str, Any]:
        began = time.perf_counter()
        reference, model = None if earlier is None else self._reference(spec, champion), self._model(champion)
        features = self._history.features(partition)
        own = self._history.own_rows(partition).loc[features.index]
        ready = time.perf_counter()
        used = self._adapting.levels(spec, champion.key, champion.as_of, model, partition)
        predictions = prediction_frame(spec, model, own, features, used)
        predict = time.perf_counter() - ready
        if reference is None or earlier is None:
            record = error_alone(
                spec,
                predictions,
                partition=partition,
                version=champion.version,
                classes=classes_of(model),
                levels=levels_of(model),
            )
        else:
            record = measure(
                spec,
                reference,
                own,
                features,
                predictions,
                partition=partition,
                version=champion.version,
                as_of=champion.as_of,
                published=self._history.partitions,
                earlier=earlier,
            )
        made = read_published(spec, predictions, classes_of(model), levels_of(model))
        return {
            # A version is also named by the gate, which does not bear on what is measured.
            "record": {key: value for key, value in vars(record).items() if key != "version"},
            "predictions": predictions_to_dict(made),
            "seconds": [predict, time.perf_counter() - began - predict],
        }

    def _reference(self, spec: Spec, champion: Trained) -> Reference:
        name = f"reference/{_measuring(spec)}/{champion.key}"
        if name not in self._references:
            sample = None
            # The rows for the domain classifier are not cached, because the same ones can be drawn again.
            body = self._cache.get(name) if DRIFT.of(spec.monitoring).limit(JOINT) is None else None
            if body is None:
                training_set, challenger = self._set(champion), self._challenger(champion)
                evaluation = evaluate(self._spec, training_set, challenger, None)
                built = build_reference(spec, training_set, evaluation, challenger)
                sample, body = built.sample, _packed(built.to_dict())
                self._cache.put({name: body})
            # Parsed from JSON as nights do, so that it is the same whether it comes from the cache or not.
            self._references = {name: Reference.from_dict(_unpacked(body), sample)}
        return self._references[name]

    def _challenger(self, trained: Trained) -> Challenger:
        body = self._cache.get(f"evaluated/{trained.key}")
        assert body is not None
        held = HeldOut.from_dict(_unpacked(body))
        return Challenger(held, self._model(trained), trained.candidate, [])

    def _model(self, trained: Trained) -> Any:
        name = f"final/{trained.key}"
        if name not in self._models:
            body = self._cache.get(name)
            assert body is not None
            self._remember(name, load_model(zlib.decompress(body)))
        self._models.move_to_end(name)
        return self._models[name]

    def _set(self, trained: Trained) -> TrainingSet:
        if trained.key not in self._sets:
            self._sets[trained.key] = self._assembled(trained.as_of, trained.change)
            self._forget()
        return self._sets[trained.key]

    def _remember(self, name: str, model: Any) -> None:
        self._models[name] = model
        self._forget()

    def _forget(self) -> None:
        while len(self._models) > _MODELS:
            self._models.popitem(last=False)
        while len(self._sets) > _SETS:
            self._sets.popitem(last=False)


def _measuring(spec: Spec) -> str:
    """Digest of the code and the settings in `monitoring` that affect a measurement."""
    watched = spec.monitoring
    limits: dict[str, Any] = {one.name: one.measured(watched) for one in SIGNALS.values()}
    limits["fairness"] = [rule.model_dump(mode="json") for rule in spec.gate.fairness]
    limits["metrics"] = [metric.name for metric in spec.watched_metrics]
    limits["estimated"] = PERFORMANCE.of(watched).tolerance if estimates(spec) else None
    limits["adapt"] = spec.intervals is not None and spec.intervals.adapt
    limits["code"] = own_code(*OF_NIGHTS)
    return _digest(limits)


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _packed(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


def _unpacked(body: bytes) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(body)
    return content
