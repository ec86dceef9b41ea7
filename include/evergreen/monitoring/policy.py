"""The retraining policy: signals that speak for a training, and the limits on how often one may start.

Pure: a decision follows from the description, the records up to a partition and the trainings up to it, so
that the same history gives the same decision in a task, in a shell and in a backtest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from evergreen.monitoring.known import known_as_of
from evergreen.monitoring.record import Decision
from evergreen.registry.history import Event, Kind
from evergreen.registry.registry import as_of_version
from evergreen.signals import SIGNALS, Finding, Nights
from evergreen.signals.record import Record
from evergreen.spec import Spec


@dataclass(frozen=True)
class Training:
    """A training that took place, as of a partition, and what became of its challenger.

    `undecided` is one that waits for a person, or lost its place to another. `reason` is the kind of reason
    it was started for, empty where it is not known.
    """

    as_of: str
    outcome: Literal["promoted", "refused", "undecided"]
    reason: str = ""


def trainings_of(events: Iterable[Event], versions: Iterable[str] = ()) -> list[Training]:
    """The trainings of a pipeline, in the order of its history; undecided ones last.

    `versions` are the committed ones. A version that was refused and then promoted by hand counts as both,
    in that order; withdrawing one and removing its files is no training.
    """
    known, found = set[str](), list[Training]()
    for event in events:
        known.add(event.version)
        reason = str(event.reason.get("kind", ""))
        if event.kind is Kind.PROMOTED:
            found.append(Training(event.as_of, "promoted", reason))
        elif event.kind is Kind.REFUSED:
            found.append(Training(event.as_of, "refused", reason))
    waiting = sorted(as_of_version(version) for version in versions if version not in known)
    return found + [Training(as_of, "undecided") for as_of in waiting]


def nights_of(spec: Spec, records: Sequence[Record]) -> Nights:
    """What the signals look at, of records that speak."""
    monitoring = spec.monitoring
    return Nights(records, monitoring, spec.calendar, spec.metric, monitoring.retrain.when)


def findings(spec: Spec, records: Sequence[Record]) -> dict[str, Finding]:
    """What the signals that count find after the newest of the records, by name.

    `records` are those that speak: see `evergreen.signals.Nights`.
    """
    nights = nights_of(spec, records)
    return {name: SIGNALS[name].look(nights) for name in spec.signals}


def decide(spec: Spec, records: Sequence[Record], trainings: Sequence[Training]) -> Decision:
    """Whether to retrain after the newest of the records.

    `records` are those of the partitions up to the one decided on, oldest first; `trainings` are in the order
    of the history, and those as of a later partition are left out. What a training already answered does not
    count again: only the partitions since the last one speak, and of their labels only those that were known
    on the night of the newest. The answer is no while no signal named by `Spec.signals` fires, or while
    `blocked` says so.

    The evidence has `signals` (what `Finding.to_dict` gives, by name), `firing` (the names of those that
    fire), `blocked`, `circuit_open`, `last_training` (its as-of) and the `champion` (its version).
    """
    newest, calendar = records[-1], spec.calendar
    earlier = [training for training in trainings if training.as_of <= newest.partition]
    since = max((training.as_of for training in earlier), default=None)
    found = findings(spec, _speaking(spec, records, since))
    firing = [name for name, finding in found.items() if finding.fires]
    as_of = calendar.shift(newest.partition, 1) if firing else newest.partition
    is_open = circuit_open(spec, earlier)
    block = blocked(spec, as_of, earlier) if firing or is_open else None
    retrain = bool(firing) and block is None
    said = [", ".join(found[name].clause for name in firing or found) or "no signal is asked for"]
    if block:
        said.append(block)
    elif retrain and since and calendar.has_time:
        said.append(f"last trained {calendar.counted(calendar.distance(since, as_of))} ago")
    evidence = {
        "signals": {name: finding.to_dict() for name, finding in found.items()},
        "firing": firing,
        "blocked": block,
        "circuit_open": is_open,
        "last_training": since,
        "champion": newest.version,
    }
    reason = f"{'retrain' if retrain else 'no retraining'}: {'; '.join(said)}"
    return Decision(newest.partition, retrain, reason, evidence)


def blocked(spec: Spec, as_of: str, trainings: Sequence[Training]) -> str | None:
    """Why no training may start as of a partition, or None if one may. A person may always start one.

    After `refusals` refused challengers in a row none starts until a version is promoted: see `circuit_open`.
    Two trainings lie at least `cooldown` partitions apart, and any `per` partitions in a row hold at most
    `times` trainings, whatever became of them. A snapshot has no time to count in: there, the same data and
    description make the same version, which is not trained twice.
    """
    if circuit_open(spec, trainings):
        return (
            f"the last {len(_refused_in_a_row(trainings))} challengers were refused and none is trained "
            "until one is promoted: train or promote one by hand"
        )
    if not spec.calendar.has_time:
        return None
    retrain, calendar = spec.monitoring.retrain, spec.calendar
    last = max((training.as_of for training in trainings), default=None)
    if last is not None and calendar.distance(last, as_of) < retrain.cooldown:
        return (
            f"the last training was as of {last} and the cooldown of {calendar.counted(retrain.cooldown)} "
            f"ends with {calendar.shift(last, retrain.cooldown)}"
        )
    times, per = retrain.budget
    recent = {training.as_of for training in trainings if calendar.distance(training.as_of, as_of) < per}
    if len(recent) >= times:
        since = f", since {min(recent)}" if recent else ""
        return f"the budget of {times} trainings per {calendar.counted(per)} is spent ({len(recent)}{since})"
    return None


def circuit_open(spec: Spec, trainings: Sequence[Training]) -> bool:
    """Whether so many challengers in a row were refused that a person must look before the next training.

    They are counted back from the newest in the history, whoever started and whoever refused them, to the
    last that was promoted, by whomever. One that is undecided does not count.
    """
    return len(_refused_in_a_row(trainings)) >= spec.monitoring.retrain.refusals


def _refused_in_a_row(trainings: Sequence[Training]) -> list[Training]:
    refused: list[Training] = []
    for training in reversed(trainings):
        if training.outcome == "promoted":
            break
        if training.outcome == "refused":
            refused.append(training)
    return refused


def _speaking(spec: Spec, records: Sequence[Record], since: str | None) -> list[Record]:
    """The records since the last training that are of the newest one's champion, as they were known then."""
    newest, found = records[-1], list[Record]()
    for record in reversed(records):
        if since is not None and record.partition < since:
            break
        if record.version == newest.version:
            found.append(record)
    found.reverse()
    return known_as_of(spec, found, newest.partition) if spec.label_delay else found
