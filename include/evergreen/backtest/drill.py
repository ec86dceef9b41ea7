"""A drill: a copy of the history with drift from some partition on, replayed to see how the policy reacts.

The unchanged history is replayed under the same policy. What happens in both replays would have happened
anyway; what happens only in the shifted one is the reaction to the shift.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from evergreen.backtest.policies import CONFIGURED, parse_policy
from evergreen.backtest.replay import Progress, silent
from evergreen.backtest.result import Night, PolicyResult
from evergreen.backtest.run import kept, read_rows, run_policies
from evergreen.backtest.shifts import Shift, apply_shifts
from evergreen.backtest.workers import WORKERS, engine
from evergreen.calendar import PartitionError
from evergreen.candidates.pretrained import load_pretrained
from evergreen.compute.choice import Kind
from evergreen.errors import NotFoundError, NothingToDoError
from evergreen.features.build import build_features
from evergreen.lake import PARTITION
from evergreen.metrics import metric_named
from evergreen.pipeline import Pipeline
from evergreen.signals import of_time
from evergreen.signals.window import pooled
from evergreen.spec import Spec
from evergreen.storage import Storage
from evergreen.training_set.window import window_start

PREDICTIONS = "(prediction)"


@dataclass(frozen=True)
class Alarm:
    """A night on which `signals` fire, and the policy's reason.

    `delay` is the number of scored partitions since the first shifted one: 0 for the night of that one, and
    negative before it.
    """

    partition: str
    delay: int
    signals: list[str]
    sentence: str


@dataclass(frozen=True)
class FeatureDrill:
    """When a feature that the shift changes is flagged as drifted, from the first shifted partition on.

    `shifted` is the first partition in which it is flagged with the shift, `untouched` without the shift.
    `alone` is the first in which it is flagged only with the shift, `delay` scored partitions after the first
    shifted one, for the aspects in `why`. None where there is no such partition.
    """

    shifted: str | None
    untouched: str | None
    alone: str | None
    delay: int | None
    why: list[str]


@dataclass(frozen=True)
class Errors:
    """The training metric over ranges, of the labelled rows of all partitions together.

    `before` the shift; `after` it, which is split into `unanswered` (up to and including the partition of the
    reaction) and `answered` (after it). None where there are no labels, or no such partitions.
    """

    before: float | None
    unanswered: float | None
    answered: float | None
    after: float | None


@dataclass(frozen=True)
class Side:
    """The result of one replay; `retrainings` are those that the policy asked for, over the whole range."""

    trainings: int
    promotions: int
    refusals: int
    seconds: float
    error: Errors
    retrainings: list[Alarm]


@dataclass(frozen=True)
class Drill:
    """What a drill found.

    `noticed` is the first night on which a signal fires that does not fire that night on the untouched
    history, `reaction` the first such night on which a training is asked for; both name those signals alone.
    Staleness is excluded, because it depends only on the calendar. `false_alarms` are the trainings that were
    asked for before the shift by any signal but staleness. `series` are the scored partitions of the range,
    with the error on both sides.
    """

    pipeline: str
    shifts: list[str]
    at: str
    first: str
    last: str
    metric: str
    noticed: Alarm | None
    reaction: Alarm | None
    false_alarms: list[Alarm]
    features: dict[str, FeatureDrill]
    shifted: Side
    untouched: Side
    series: list[dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """The document of `evergreen drill --json`."""
        found = asdict(self)
        stretch = {"from": found.pop("first"), "to": found.pop("last")}
        ends = {name: found.pop(name) for name in ("pipeline", "shifts", "at")}
        return {**ends, **stretch, "reacted": self.reaction is not None, **found}


def stretch(pipeline: Pipeline, at: str, first: str | None, last: str | None) -> tuple[str, str, int]:
    """The first and the last partition of a drill (default: all that is published), and how many there are.

    Raises `NothingToDoError` for a snapshot, `PartitionError` if `at` lies outside the range, and
    `NotFoundError` if nothing is published from `at` on, or too little before it to train on.
    """
    spec, calendar = pipeline.spec, pipeline.spec.calendar
    if not calendar.has_time:
        raise NothingToDoError(f"{spec.name}: a snapshot has no time, so there is no history to replay")
    published = pipeline.lake.partitions()
    if not published:
        raise NotFoundError(
            f"{spec.name}: no partition is published yet: run evergreen ingest {spec.name} first"
        )
    first, last = calendar.check(first or published[0]), calendar.check(last or published[-1])
    if not first <= calendar.check(at) <= last:
        raise PartitionError(f"--at {at} is outside the range from {first} to {last}: choose one inside")
    if not any(at <= key <= last for key in published):
        raise NotFoundError(
            f"{spec.name}: no partition is published from {at} to {last}: choose another --at"
        )
    there = sum(window_start(spec, at) <= key < at for key in published)
    minimum = calendar.count(spec.training.minimum, before=at)
    if there < minimum:
        raise NotFoundError(
            f"{spec.name}: {there} partitions are published in the training window before {at} and a first "
            f"training needs {minimum}: choose a later --at, or ingest more history"
        )
    return first, last, sum(first <= key <= last for key in published)


def drill(
    pipeline: Pipeline,
    shifts: Sequence[Shift],
    at: str,
    first: str | None = None,
    last: str | None = None,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> Drill:
    """Replay the published history with the shifts from partition `at` on, and unchanged.

    The range and the errors raised are those of `stretch`; also raises `SpecError` for a shift that does not
    fit its column. Reads the lake once and writes nothing to it. Trained models are kept in the cache of
    backtests, so the next drill over the same history is faster. `progress` is called with each partition
    that is done in either replay.
    """
    first, last, _ = stretch(pipeline, at, first, last)
    rows = read_rows(pipeline, first, last)
    return run_drill(
        pipeline.spec,
        rows,
        shifts,
        at=at,
        first=first,
        last=last,
        seed=seed,
        progress=progress,
        pretrained=load_pretrained(pipeline),
        root=kept(),
        storage=pipeline.storage,
    )


def run_drill(
    spec: Spec,
    rows: pd.DataFrame,
    shifts: Sequence[Shift],
    *,
    at: str,
    first: str,
    last: str,
    seed: int = 0,
    progress: Progress = silent,
    pretrained: Mapping[int, Any] = {},
    root: Path | None = None,
    storage: Storage | None = None,
    workers: int = WORKERS,
) -> Drill:
    """The drill over rows (with `partition`) in memory; what is kept, and `workers`, as in `run_policies`."""
    shifted = apply_shifts(spec, rows, shifts, at, seed)
    features = changed_features(spec, rows, shifted, at)

    def replayed(history: pd.DataFrame) -> PolicyResult:
        (result,) = run_policies(
            spec,
            history,
            [parse_policy(CONFIGURED)],
            first,
            last,
            progress=progress,
            workers=workers,
            pretrained=pretrained,
            root=root,
            storage=storage,
        )
        return result

    # Where there are workers each replay has one of its own, and these threads only wait for them.
    with ThreadPoolExecutor(1 if engine(workers).kind is Kind.LOCAL else 2) as both:
        results = list(both.map(replayed, (shifted, rows)))
    return compare(spec, shifts, features, *results, at=at, first=first, last=last)


def changed_features(spec: Spec, rows: pd.DataFrame, shifted: pd.DataFrame, at: str) -> list[str]:
    """The features that differ, in some row from partition `at` on, between the rows and the shifted ones."""
    near = (rows[PARTITION] >= spec.looks_back_to(at)).to_numpy()
    late = (rows[PARTITION][near] >= at).to_numpy()
    unseen = [spec.target] if spec.labels and spec.target in rows else []
    before, after = (
        build_features(spec, frame[near].drop(columns=unseen).reset_index(drop=True))[late]
        for frame in (rows, shifted)
    )
    return [str(name) for name in after if name not in before or _differ(before[name], after[name])]


def compare(
    spec: Spec,
    shifts: Sequence[Shift],
    features: Iterable[str],
    shifted: PolicyResult,
    untouched: PolicyResult,
    *,
    at: str,
    first: str,
    last: str,
) -> Drill:
    """What only the shifted replay did, and not the unchanged one. Pure."""
    play = _Play(at, [night.partition for night in shifted.nights])
    anyhow = {night.partition: night for night in untouched.nights}
    before = [night for night in shifted.nights if night.partition < at]
    after = [night for night in shifted.nights if night.partition >= at]
    news = [(n, more) for n in after if (more := _firing(n) - _firing(anyhow.get(n.partition)) - of_time())]
    noticed = next((play.alarm(*new) for new in news), None)
    reaction = next((play.alarm(*new) for new in news if new[0].decision.retrain), None)
    until = reaction.partition if reaction else last
    errors = [result.by_partition for result in (shifted, untouched)]
    return Drill(
        pipeline=spec.name,
        shifts=[str(shift) for shift in shifts],
        at=at,
        first=first,
        last=last,
        metric=shifted.metric,
        noticed=noticed,
        reaction=reaction,
        false_alarms=[play.alarm(n) for n in before if n.decision.retrain and _firing(n) - of_time()],
        features={name: play.feature(name, after, anyhow) for name in [*features, PREDICTIONS]},
        shifted=play.side(shifted, until),
        untouched=play.side(untouched, until),
        series=[
            {"partition": key, "shifted": errors[0].get(key), "untouched": errors[1].get(key)}
            for key in sorted({*errors[0], *errors[1]})
        ],
    )


@dataclass(frozen=True)
class _Play:
    """What the figures of a drill are counted from: the first shifted partition, and the `scored` keys."""

    at: str
    scored: Sequence[str]

    def delay(self, partition: str) -> int:
        return bisect_left(self.scored, partition) - bisect_left(self.scored, self.at)

    def alarm(self, night: Night, signals: Iterable[str] = ()) -> Alarm:
        named = sorted(signals or _firing(night))
        return Alarm(night.partition, self.delay(night.partition), named, night.decision.reason)

    def feature(self, name: str, nights: Sequence[Night], anyhow: Mapping[str, Night]) -> FeatureDrill:
        shifted = {night.partition: why for night in nights if (why := _drift(night, name))}
        untouched = [key for key, night in anyhow.items() if key >= self.at and _drift(night, name)]
        alone = next((key for key in shifted if key not in untouched), None)
        return FeatureDrill(
            shifted=next(iter(shifted), None),
            untouched=next(iter(untouched), None),
            alone=alone,
            delay=None if alone is None else self.delay(alone),
            why=[] if alone is None else shifted[alone],
        )

    def side(self, result: PolicyResult, until: str) -> Side:
        records, metric = result.records, metric_named(result.metric)
        return Side(
            trainings=result.trainings,
            promotions=result.promotions,
            refusals=result.refusals,
            seconds=result.seconds,
            error=Errors(
                before=pooled(metric, (r for r in records if r.partition < self.at)),
                unanswered=pooled(metric, (r for r in records if self.at <= r.partition <= until)),
                answered=pooled(metric, (r for r in records if r.partition > until)),
                after=pooled(metric, (r for r in records if r.partition >= self.at)),
            ),
            retrainings=[self.alarm(night) for night in result.nights if night.decision.retrain],
        )


def _differ(left: pd.Series, right: pd.Series) -> bool:
    left, right = left.astype(object), right.astype(object)
    return bool(((left != right) & ~(left.isna() & right.isna())).any())


def _firing(night: Night | None) -> set[str]:
    return night.firing if night else set()


def _drift(night: Night, name: str) -> list[str]:
    """The aspects in which a feature drifted, in a word each; empty if it is not flagged as drifted."""
    record = night.record
    found = record.prediction_drift if name == PREDICTIONS else record.drift.get(name)
    return list(found["why"]) if found and found["drifted"] else []
