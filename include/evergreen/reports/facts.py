"""What the reports of nights and weeks are told from: plain records, which `read` and `read_week` read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evergreen.alerts.alert import Alert
    from evergreen.explain.explanation import Explanation
    from evergreen.monitoring.record import Decision
    from evergreen.registry.history import Event
    from evergreen.reports.report import Link
    from evergreen.signals.record import Record


@dataclass(frozen=True)
class Waiting:
    """A version that is neither promoted nor refused: what its gate said, and what it waits for."""

    version: str
    sentence: str
    shadow: bool = False


@dataclass(frozen=True)
class NightFacts:
    """What is known of a partition and of its night.

    - `came`: what became of the partition, and which expectations rows of it break.
    - `published`: the keys of the partitions published up to this one, oldest first.
    - `records`: the records of this partition and of those that say what is usual, by key.
    - `nights`: the last monitored partitions up to this one with the decisions after them, oldest first, as
      they were known after this night.
    - `events`: what happened to versions between the partition before and the one after, in their order.
    - `waiting`: the newest version that is neither promoted nor refused; None without one.
    - `unlabelled`: the monitored partitions whose labels are due and not there, oldest first.
    - `alerts`: those that are open after the night.
    - `in_force`: the champion as of the partition; None without one.
    - `page`: the page of its validation; None without one.
    """

    partition: str
    came: Explanation
    published: Sequence[str] = ()
    records: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    nights: Sequence[tuple[Record, Decision]] = ()
    events: Sequence[Event] = ()
    waiting: Waiting | None = None
    unlabelled: Sequence[str] = ()
    alerts: Sequence[Alert] = ()
    in_force: str | None = None
    page: Link | None = None

    @property
    def is_published(self) -> bool:
        """Whether the partition is published."""
        return self.partition in self.published[-1:]

    @property
    def record(self) -> Record | None:
        """The measurements of the partition; None if it is not monitored."""
        return self._night[0] if self._night else None

    @property
    def decision(self) -> Decision | None:
        """The decision after the partition; None if it is not monitored."""
        return self._night[1] if self._night else None

    @property
    def aside(self) -> int:
        """How many rows of the published partition are in quarantine."""
        return int(self.records.get(self.partition, {}).get("quarantined", 0))

    @property
    def _night(self) -> tuple[Record, Decision] | None:
        last = self.nights[-1] if self.nights else None
        return last if last and last[0].partition == self.partition else None


@dataclass(frozen=True)
class Gap:
    """Partitions one after the other that are not published, `first` to `last`, `count` of them.

    `sentence` says what became of the first; empty where there are too many to ask. They are `empty` if they
    were ingested and there were no rows.
    """

    first: str
    last: str
    count: int
    sentence: str
    empty: bool = False


@dataclass(frozen=True)
class Broken:
    """How many rows in quarantine break an expectation, and in how many partitions."""

    expectation: str
    rows: int
    partitions: int


@dataclass(frozen=True)
class WeekFacts:
    """What is known of the partitions that end in a week, up to one of them.

    - `week`: the date of its first day; `over`: whether it has ended.
    - `expected`: the keys of its partitions, oldest first, up to `partition`: the last of them, or the newest
      published one while the week lasts.
    - `published`: those of them that are published, and `records` of these by key.
    - `gaps`: those that are not published, oldest first.
    - `aside`: which expectations rows in quarantine break, the most broken first.
    - `nights`: the monitored partitions up to the last with the decisions after them, oldest first, as they
      were known after the night of the last: those of the week, and others before them.
    - `unseen`: the published ones that are not monitored although a version was in force for them.
    - `events`: what happened to versions in the week, in their order.
    - `waiting`, `unlabelled`, `alerts`, `in_force`: as in `NightFacts`, after the last night.
    """

    week: str
    over: bool
    expected: Sequence[str]
    published: Sequence[str] = ()
    records: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    gaps: Sequence[Gap] = ()
    aside: Sequence[Broken] = ()
    nights: Sequence[tuple[Record, Decision]] = ()
    unseen: Sequence[str] = ()
    events: Sequence[Event] = ()
    waiting: Waiting | None = None
    unlabelled: Sequence[str] = ()
    alerts: Sequence[Alert] = ()
    in_force: str | None = None

    @property
    def partition(self) -> str:
        """The last partition that is told of."""
        return self.expected[-1]

    @property
    def of_week(self) -> list[tuple[Record, Decision]]:
        """The monitored nights of the week, oldest first."""
        return [night for night in self.nights if self.expected[0] <= night[0].partition <= self.partition]

    def total(self, name: str) -> int:
        """The sum of a figure of the published partitions' records: their `rows`, or those `quarantined`."""
        return sum(int(record.get(name, 0)) for record in self.records.values())
