"""The circuit breaker: after several challengers in a row that were worse, trainings stop for a while.

Pure. It counts verdicts of `worse` alone: one that is inconclusive says that too little is known, and another
training may find out. An open breaker half-opens, which lets one training through, after
`half_open` without one, or as soon as the champion's error has grown since it opened: then
there is something new to learn. A promotion, by whomever, closes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from evergreen.monitoring.known import known_as_of
from evergreen.monitoring.trainings import Training
from evergreen.numbers import number, percent
from evergreen.signals.performance import PERFORMANCE, beyond_tolerance
from evergreen.signals.record import Record
from evergreen.signals.window import pooled
from evergreen.spec import Spec


@dataclass(frozen=True)
class Breaker:
    """What the breaker says of a training as of a partition.

    `worse` is how many challengers were worse since the last promotion, and `since` the as-of of the newest
    training. `until` is the first as-of at which it half-opens, None where there is no time or it is closed.
    `grown` says in words by how much the error has grown since it opened, empty if it has not.
    """

    state: Literal["closed", "open", "half-open"]
    worse: int = 0
    since: str | None = None
    until: str | None = None
    grown: str = ""

    @property
    def halts(self) -> bool:
        """Whether no training may start."""
        return self.state == "open"

    def to_dict(self) -> dict[str, Any]:
        """The state as evidence of a decision."""
        return asdict(self)


CLOSED = Breaker("closed")


def breaker(spec: Spec, as_of: str, trainings: Sequence[Training], records: Sequence[Record] = ()) -> Breaker:
    """The breaker before a training as of a partition.

    `trainings` are those up to it, in the order of the history, whoever started them. `records` are those of
    the nights up to the partition before, oldest first: the newest one's champion is in force. A snapshot has
    no partitions to wait for: there only a promotion closes the breaker.
    """
    worse = _worse_in_a_row(trainings)
    if worse < spec.monitoring.retrain.refusals:
        return CLOSED
    since = max(training.as_of for training in trainings)
    if not spec.calendar.has_time:
        return Breaker("open", worse, since)
    until = spec.calendar.ahead(since, spec.lengths.half_open)
    grown = _grown(spec, records, since) if records else ""
    passes = as_of >= until or grown
    return Breaker("half-open" if passes else "open", worse, since, until, grown)


def in_words(spec: Spec, found: Breaker) -> str:
    """Why an open breaker lets no training through, and what would."""
    said = (
        f"the breaker is open: {found.worse} challengers in a row were worse: train or promote one by hand, "
        "or wait"
    )
    if found.until is None:
        return said.removesuffix(", or wait")
    night = spec.calendar.shift(found.until, -1)
    tolerance = percent(PERFORMANCE.of(spec.monitoring).tolerance)
    return f"{said} for the night of {night} or for an error that has grown by {tolerance}"


def _worse_in_a_row(trainings: Sequence[Training]) -> int:
    """Those since the last promotion, in the order of the history. What is not decided does not count."""
    worse = 0
    for training in reversed(trainings):
        if training.outcome == "promoted":
            break
        worse += training.outcome == "worse"
    return worse


def _grown(spec: Spec, records: Sequence[Record], since: str) -> str:
    """Whether the error of the last nights is beyond the tolerance of what it was when the breaker opened.

    `performance.over` labelled nights of the champion in force now against as many before `since`.
    """
    newest = records[-1]
    over = PERFORMANCE.over(spec.monitoring, spec.calendar, newest.partition)
    after: list[Record] = []
    before: list[Record] = []
    for record in reversed(records):
        if record.version != newest.version or len(before) == over:
            break
        (after if record.partition >= since else before).append(record)
    known = [r for r in known_as_of(spec, after[::-1], newest.partition) if r.part(spec.metric.name)][-over:]
    now, was = (pooled(spec.metric, nights) for nights in (known, before))
    if len(known) < over or not beyond_tolerance(spec.metric, spec.monitoring, now, was):
        return ""
    return f"{spec.metric.words} {number(now)} over {spec.calendar.last(over)}, {number(was)} when it opened"
