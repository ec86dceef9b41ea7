"""What the report of a night is told from: plain records, which `evergreen.reports.read` reads."""

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
