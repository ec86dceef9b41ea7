"""The retraining policy: signals that speak for a training, and the limits on how often one may start.

Pure: a decision follows from the description, the records up to a partition and the trainings up to it, so
that the same history gives the same decision in a task, in a shell and in a backtest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile

from evergreen.monitoring.breaker import CLOSED, Breaker, breaker, in_words
from evergreen.monitoring.known import known_as_of
from evergreen.monitoring.promise import told
from evergreen.monitoring.record import Decision
from evergreen.monitoring.standing_bias import StandingBias, judged_nights, standing_bias
from evergreen.monitoring.trainings import Training, on_trial
from evergreen.monitoring.trial import Tried, tried
from evergreen.signals import SIGNALS, Finding, Nights
from evergreen.signals.coverage import COVERAGE
from evergreen.signals.last import NOTHING_YET, LastTraining
from evergreen.signals.record import Record
from evergreen.signals.skew import SKEW
from evergreen.spec import Spec, Task
from evergreen.training_set.window import Change


def nights_of(spec: Spec, records: Sequence[Record], last: LastTraining = NOTHING_YET) -> Nights:
    """What the signals look at, of records that speak, and of the last training."""
    monitoring = spec.monitoring
    return Nights(records, monitoring, spec.calendar, spec.metric, monitoring.retrain.when, last)


def findings(spec: Spec, records: Sequence[Record], last: LastTraining = NOTHING_YET) -> dict[str, Finding]:
    """What the signals that count find after the newest of the records, by name.

    `records` are those that speak: see `evergreen.signals.Nights`.
    """
    nights = nights_of(spec, records, last)
    return {name: SIGNALS[name].look(nights) for name in spec.signals}


def decide(spec: Spec, records: Sequence[Record], trainings: Sequence[Training]) -> Decision:
    """Whether to retrain after the newest of the records.

    `records` are those of the partitions up to the one decided on, oldest first; `trainings` are in the order
    of the history, and those as of a later partition are left out. What a training already answered does not
    count again: only the partitions since the last one speak, and of their labels only those that were known
    on the night of the newest. The answer is no while no signal named by `Spec.signals` fires, or while
    `blocked` says so. A challenger on trial that is clearly better by now is promoted instead.

    The evidence has `signals` (what `Finding.to_dict` gives, by name), `firing` (the names of those that
    fire), `blocked`, `breaker` (what `Breaker.to_dict` gives), `last_training` (its as-of), the `champion`
    (its version), `trial` (what `Tried.to_dict` gives; None where no challenger is on trial),
    `standing_bias` (what `StandingBias.to_dict` gives; None where it is not known), `coverage` (what the
    signal of that name finds, asked for or not; None without intervals or sets), and `change` (what
    `Change.to_dict` gives of the last break that was found; None where none was).
    """
    newest, calendar = records[-1], spec.calendar
    earlier = [training for training in trainings if training.known(newest.partition)]
    since = max((training.as_of for training in earlier), default=None)
    standing = trial_after(spec, records, trainings)
    found = findings(spec, _speaking(spec, records, since), _last(spec, records, earlier, standing))
    firing = [name for name, finding in found.items() if finding.fires]
    as_of = calendar.shift(newest.partition, 1)
    halt = breaker(spec, as_of, earlier, records)
    block = blocked(spec, as_of, earlier, halt) if firing or halt.halts else None
    promotes = standing is not None and standing.promotes
    retrain = bool(firing) and block is None and not promotes
    said = [", ".join(found[name].clause for name in firing or found) or "no signal is asked for"]
    if block:
        said.append(block)
    elif retrain and halt.state == "half-open":
        said.append(f"the breaker half-opens: {halt.grown or f'nothing was trained since {halt.since}'}")
    if standing:
        said.append(standing.words)
    bias = _bias(spec, records, since)
    if bias and bias.stands:
        said.append(bias.words(calendar))
    coverage = _coverage(spec, records, since)
    if coverage and (coverage.fires or coverage.figures.get("over")) and coverage.clause not in said[0]:
        said.append(coverage.clause)
    if SKEW.name not in found and SKEW.holds(nights_of(spec, [newest]), newest):
        said.append(SKEW.warning(newest, ""))
    if promise := told(spec, newest.promised, newest.before):
        said.append(f"the champion promises {promise}")
    if retrain and since and calendar.has_time:
        said.append(f"last trained {calendar.counted(calendar.distance(since, as_of))} ago")
    change = _change(newest.partition, found, earlier)
    evidence = {
        "signals": {name: finding.to_dict() for name, finding in found.items()},
        "firing": firing,
        "blocked": block,
        "breaker": halt.to_dict(),
        "last_training": since,
        "champion": newest.version,
        "trial": standing and standing.to_dict(),
        "standing_bias": bias and bias.to_dict(),
        COVERAGE.name: coverage and coverage.to_dict(),
        "change": change and change.to_dict(),
    }
    do = "promote the challenger on trial" if promotes else "retrain" if retrain else "no retraining"
    reason = f"{do}: {'; '.join(said)}"
    return Decision(newest.partition, retrain, reason, evidence)


def trial_after(spec: Spec, records: Sequence[Record], trainings: Sequence[Training]) -> Tried | None:
    """Where the trial of a challenger stands after the newest of the records; arguments as of `decide`.

    None where none is on trial, or none of its nights was measured yet.
    """
    rival = on_trial(spec, [training for training in trainings if training.known(records[-1].partition)])
    return tried(spec, _known(spec, _since(records, rival.as_of)), rival.version) if rival else None


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
    lengths, calendar = spec.lengths, spec.calendar
    last = max((training.as_of for training in trainings), default=None)
    if last is not None and calendar.back(as_of, spec.cooldown) < last:
        first = calendar.shift(calendar.ahead(last, spec.cooldown), -1)
        return (
            f"the last training was as of {last} and the cooldown is {calendar.in_words(spec.cooldown)}: "
            f"the night of {first} may train again"
        )
    times, per = lengths.budget
    outside = calendar.back(as_of, per)
    recent = {training.as_of for training in trainings if training.as_of > outside}
    if len(recent) >= times:
        since = f", since {min(recent)}" if recent else ""
        return f"the budget of {times} trainings per {calendar.in_words(per)} is spent ({len(recent)}{since})"
    return None


def _change(partition: str, found: Mapping[str, Finding], trainings: Sequence[Training]) -> Change | None:
    """The break that a signal finds now, or else the newest one that a training was asked for with."""
    for name, finding in found.items():
        if finding.fires and SIGNALS[name].dates_change:
            return Change(finding.figures["since"], name, partition)
    known = [one.change for one in trainings if one.change]
    return max(known, key=lambda change: change.partition, default=None)


def _bias(spec: Spec, records: Sequence[Record], since: str | None) -> StandingBias | None:
    """Whether a bias stands after the newest of the records.

    A training that left the champion in force answered no bias, so as many nights before it count as are
    judged together.
    """
    if spec.task is not Task.REGRESSION or not spec.calendar.has_time:
        return None
    start = since and spec.calendar.shift(since, -judged_nights(spec, records[-1].partition))
    return standing_bias(spec, _speaking(spec, records, start))


def _coverage(spec: Spec, records: Sequence[Record], since: str | None) -> Finding | None:
    """What intervals or sets hold, for people: also where the signal is not asked for."""
    if not (spec.intervals or spec.sets) or not spec.calendar.has_time:
        return None
    return COVERAGE.look(nights_of(spec, _speaking(spec, records, since)))


def _speaking(spec: Spec, records: Sequence[Record], since: str | None) -> list[Record]:
    """The records since the last training that are of the newest one's champion, as they were known then."""
    newest = records[-1]
    return _known(spec, [record for record in _since(records, since) if record.version == newest.version])


def _since(records: Sequence[Record], since: str | None) -> list[Record]:
    """The records from a partition on, by default all; no older one is looked at."""
    found = takewhile(lambda record: since is None or record.partition >= since, reversed(records))
    return [*found][::-1]


def _known(spec: Spec, records: Sequence[Record]) -> list[Record]:
    """The records as they were known after the night of the newest."""
    return known_as_of(spec, records, records[-1].partition) if spec.label_delay else [*records]


def _last(
    spec: Spec, records: Sequence[Record], trainings: Sequence[Training], standing: Tried | None
) -> LastTraining:
    """What became of the last training; the first one counts as none."""
    since = max((training.as_of for training in trainings), default=None)
    fresh = len(_since(records, since))
    if len({training.as_of for training in trainings}) < 2:
        return LastTraining("none", fresh)
    if any(training.outcome == "promoted" for training in trainings if training.as_of == since):
        return LastTraining("promoted", fresh)
    if on_trial(spec, trainings) is None:
        return LastTraining("kept", fresh)
    return LastTraining("on trial", fresh, standing.gain if standing else None)
