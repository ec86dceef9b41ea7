"""Partitions: a key, the stretch of event time it stands for, and arithmetic on keys.

Keys sort as text in the order of time, so they can be compared and ranged over wherever text can.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from dateutil.relativedelta import relativedelta

from evergreen.errors import EvergreenError

SNAPSHOT = "snapshot"


class Grain(StrEnum):
    """How long one partition is. `snapshot` has no time in it, and the one key `snapshot`."""

    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    SNAPSHOT = "snapshot"


_KEY_FORMAT = {
    Grain.HOURLY: "%Y-%m-%dT%H",
    Grain.DAILY: "%Y-%m-%d",
    Grain.WEEKLY: "%Y-%m-%d",
    Grain.MONTHLY: "%Y-%m",
}
_STEP = {
    Grain.HOURLY: relativedelta(hours=1),
    Grain.DAILY: relativedelta(days=1),
    Grain.WEEKLY: relativedelta(weeks=1),
    Grain.MONTHLY: relativedelta(months=1),
}


class PartitionError(EvergreenError):
    """A partition key that does not fit the pipeline's grain."""


@dataclass(frozen=True)
class Calendar:
    """The partitions of one grain: keys to event time (UTC) and back.

    A week's key is its Monday, a month's `YYYY-MM`.
    """

    grain: Grain

    @property
    def key_format(self) -> str:
        """The `strftime` format of a key; raises `PartitionError` for a snapshot, which has none."""
        if self.grain is Grain.SNAPSHOT:
            raise PartitionError("a snapshot has no time: its only partition key is 'snapshot'")
        return _KEY_FORMAT[self.grain]

    @property
    def has_time(self) -> bool:
        """Whether the partitions follow one another in time."""
        return self.grain is not Grain.SNAPSHOT

    def start(self, key: str) -> datetime:
        """First instant of the partition, in UTC. Raises `PartitionError` for a key of another form."""
        try:
            moment = datetime.strptime(key, self.key_format).replace(tzinfo=UTC)
        except ValueError:
            raise PartitionError(
                f"'{key}' is not a key of a {self.grain} pipeline: write it like '{self._example()}'"
            ) from None
        if self.key_of(moment) != key:
            raise PartitionError(
                f"'{key}' is not a partition key of a {self.grain} pipeline: the partition that holds it is "
                f"'{self.key_of(moment)}'"
            )
        return moment

    def end(self, key: str) -> datetime:
        """First instant after the partition, in UTC."""
        return self.start(key) + _STEP[self.grain]

    def check(self, key: str) -> str:
        """The key itself if it is one of this grain; raises `PartitionError` if not."""
        if not self.has_time:
            if key != SNAPSHOT:
                raise PartitionError(f"'{key}' is not a partition key of a snapshot pipeline: use 'snapshot'")
            return key
        self.start(key)
        return key

    def key_of(self, moment: datetime) -> str:
        """Key of the partition that holds a moment (a naive one is taken as UTC)."""
        if not self.has_time:
            return SNAPSHOT
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        if self.grain is Grain.WEEKLY:
            moment -= timedelta(days=moment.weekday())
        return moment.strftime(self.key_format)

    def shift(self, key: str, steps: int) -> str:
        """The key `steps` partitions later (earlier if negative). A snapshot's key is its own neighbour."""
        if not self.has_time:
            return self.check(key)
        return self.key_of(self.start(key) + _STEP[self.grain] * steps)

    def back(self, key: str, length: timedelta) -> str:
        """The key whose partition starts `length` before this one's start."""
        if not self.has_time:
            return self.check(key)
        return self.key_of(self.start(key) - length)

    def between(self, first: str, last: str) -> Iterator[str]:
        """All keys from `first` to `last`, both included; none if `last` lies before `first`."""
        key, last = self.check(first), self.check(last)
        if not self.has_time:
            yield key
            return
        while key <= last:
            yield key
            key = self.shift(key, 1)

    def distance(self, first: str, last: str) -> int:
        """How many partitions `last` lies after `first` (negative if before)."""
        if not self.has_time:
            return 0
        low, high = sorted((first, last))
        steps = sum(1 for _ in self.between(low, high)) - 1
        return steps if last >= first else -steps

    def _example(self) -> str:
        return self.key_of(datetime(2024, 1, 31, 5, tzinfo=UTC))
