"""The retraining policy: signals that speak for a training, and the limits on how often one may start.

Pure: a decision follows from the description, the records up to a partition and the trainings up to it, so
that the same history gives the same decision in a task, in a shell and in a backtest.
"""

from __future__ import annotations

from collections.abc import Sequence

from evergreen.monitoring.breaker import CLOSED, Breaker, breaker, in_words
from evergreen.monitoring.known import known_as_of
from evergreen.monitoring.record import Decision
from evergreen.monitoring.trainings import Training
from evergreen.signals import SIGNALS, Finding, Nights
from evergreen.signals.record import Record
from evergreen.spec import Spec


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
    fire), `blocked`, `breaker` (what `Breaker.to_dict` gives), `last_training` (its as-of) and the `champion`
    (its version).
    """
    newest, calendar = records[-1], spec.calendar
    earlier = [training for training in trainings if training.as_of <= newest.partition]
    since = max((training.as_of for training in earlier), default=None)
    found = findings(spec, _speaking(spec, records, since))
    firing = [name for name, finding in found.items() if finding.fires]
    as_of = calendar.shift(newest.partition, 1)
    halt = breaker(spec, as_of, earlier, records)
    block = blocked(spec, as_of, earlier, halt) if firing or halt.halts else None
    retrain = bool(firing) and block is None
    said = [", ".join(found[name].clause for name in firing or found) or "no signal is asked for"]
    if block:
        said.append(block)
    elif retrain and halt.state == "half-open":
        said.append(f"the breaker half-opens: {halt.grown or f'nothing was trained since {halt.since}'}")
    if retrain and since and calendar.has_time:
        said.append(f"last trained {calendar.counted(calendar.distance(since, as_of))} ago")
    evidence = {
        "signals": {name: finding.to_dict() for name, finding in found.items()},
        "firing": firing,
        "blocked": block,
        "breaker": halt.to_dict(),
        "last_training": since,
        "champion": newest.version,
    }
    reason = f"{'retrain' if retrain else 'no retraining'}: {'; '.join(said)}"
    return Decision(newest.partition, retrain, reason, evidence)


def blocked(spec: Spec, as_of: str, trainings: Sequence[Training], halt: Breaker = CLOSED) -> str | None:
    """Why no training may start as of a partition, or None if one may. A person may always start one.

    An open breaker (`halt`) forbids one. Two trainings lie at least `cooldown` apart, and any stretch of the
    length `per` holds at most `times` trainings, whatever became of them. A snapshot has no time
    to count in: there, the same data and description make the same version, which is not trained twice.
    """
    if halt.halts:
        return in_words(spec, halt)
    if not spec.calendar.has_time:
        return None
    retrain, calendar = spec.monitoring.retrain, spec.calendar
    last = max((training.as_of for training in trainings), default=None)
    if last is not None and calendar.back(as_of, retrain.cooldown) < last:
        first = calendar.shift(calendar.ahead(last, retrain.cooldown), -1)
        return (
            f"the last training was as of {last} and the cooldown is {calendar.in_words(retrain.cooldown)}: "
            f"the night of {first} may train again"
        )
    times, per = retrain.budget
    outside = calendar.back(as_of, per)
    recent = {training.as_of for training in trainings if training.as_of > outside}
    if len(recent) >= times:
        since = f", since {min(recent)}" if recent else ""
        return f"the budget of {times} trainings per {calendar.in_words(per)} is spent ({len(recent)}{since})"
    return None


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
