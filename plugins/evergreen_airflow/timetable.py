"""The timetable of a pipeline that is not a snapshot: one run for each partition, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from airflow.exceptions import InvalidPartitionKeyError
from airflow.sdk.timezone import utcnow
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction, Timetable
from airflow.utils.strings import get_random_string
from pendulum import DateTime
from pendulum import instance as in_pendulum

from evergreen.calendar import Calendar, Grain, PartitionError, Schedule, Ticks, Weekday

if TYPE_CHECKING:
    from airflow.utils.types import DagRunType


class PartitionTimetable(Timetable):
    """One run for each partition, due at the tick that takes it.

    A tick that takes three partitions makes three runs, each with its own key. No run is due before its
    partition has ended. After a pause (and without `catchup`) the runs start with the partitions of the
    newest tick; but if some partitions of an earlier tick were already run, the rest of that tick are run
    first.

    A backfill runs the partitions that begin between its dates, each due as soon as it has ended.

    While it is `held`, no run is due by the clock; backfills and runs by hand go on.
    """

    partitioned = True
    run_ordering: Sequence[str] = ("run_after",)

    def __init__(self, ticks: Ticks, *, held: bool = False) -> None:
        self.ticks, self.held = ticks, held
        self.calendar = ticks.calendar
        when = ", then ".join(str(schedule) for schedule in ticks.schedules)
        held_back = ", held back" if held else ""
        self.description = f"each {self.calendar.grain.facts.word} that has ended: {when}{held_back}"

    def held_back(self) -> PartitionTimetable:
        """The same, of which no run is due by the clock."""
        return PartitionTimetable(self.ticks, held=True)

    @property
    def summary(self) -> str:
        """The crons, and the time zone where it is not UTC."""
        crons = ", ".join(schedule.cron for schedule in self.ticks.schedules)
        return crons if self.calendar.timezone == "UTC" else f"{crons} ({self.calendar.timezone})"

    def serialize(self) -> dict[str, Any]:
        """The arguments from which `deserialize` makes an equal timetable."""
        return {
            "grain": self.calendar.grain.value,
            "timezone": self.calendar.timezone,
            "week_starts": self.calendar.week_starts.value,
            "crons": [schedule.cron for schedule in self.ticks.schedules],
            "held": self.held,
        }

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> PartitionTimetable:
        """The timetable that `serialize` described."""
        calendar = Calendar(Grain(data["grain"]), data["timezone"], Weekday(data["week_starts"]))
        schedules = tuple(Schedule(cron, data["timezone"]) for cron in data["crons"])
        return cls(Ticks(calendar, schedules), held=data.get("held", False))

    def next_dagrun_info_v2(
        self, *, last_dagrun_info: DagRunInfo | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """The run after the last scheduled or backfilled one; None while held and after the DAG has ended."""
        if self.held:
            return None
        key = self._next(last_dagrun_info, utcnow(), restriction)
        tick = _due(self.ticks, key)
        if restriction.latest is not None and tick > restriction.latest:
            return None
        return self._run(key, tick)

    def _next(self, last: DagRunInfo | None, now: datetime, restriction: TimeRestriction) -> str:
        allowed = [] if restriction.earliest is None else [self._from(restriction.earliest)]
        if last is not None and last.partition_date is not None:
            key = self.calendar.key_of(last.partition_date)
            following = self.calendar.shift(key, 1)
            # A backfill's run belongs to no tick: it is due at its partition's end.
            if last.run_after == _due(self.ticks, key) == _due(self.ticks, following):
                return max([following, *allowed])
            allowed.append(following)
        if not (restriction.catchup and allowed):
            allowed.append(self.ticks.first_beside(self.ticks.newest(now)))
        return max(allowed)

    def iter_partition_dagrun_infos(self, *, earliest: datetime, latest: datetime) -> Iterator[DagRunInfo]:
        """The runs of a backfill: the partitions that begin between two local times, both included."""
        key, end = (
            self._from(self.localize_partition_datetime(earliest)),
            self.localize_partition_datetime(latest),
        )
        while self.calendar.start(key) <= end:
            yield self._run(key, self.calendar.end(key))
            key = self.calendar.shift(key, 1)

    def localize_partition_datetime(self, dt: datetime) -> DateTime:
        """The moment of a date that a person entered, taken as local time whatever its offset."""
        return in_pendulum(self.calendar.zone.first_of(dt.replace(tzinfo=None)).replace(tzinfo=UTC))

    def _decode_partition_date(self, partition_key: str) -> datetime:
        try:
            return self.calendar.start(partition_key)
        except PartitionError as error:
            raise InvalidPartitionKeyError(str(error)) from None

    def infer_manual_data_interval(self, *, run_after: DateTime) -> DataInterval:
        """The moment itself: a run that is started by hand has no interval of time."""
        return DataInterval.exact(run_after)

    def generate_run_id(
        self, *, run_type: DagRunType, run_after: DateTime, data_interval: DataInterval | None, **extra: Any
    ) -> str:
        """A unique id: when the run is due, its partition, and random letters.

        The random letters are needed because another backfill may run the same partition again.
        """
        parts = [run_after.isoformat(), extra.get("partition_key"), get_random_string()]
        return run_type.generate_run_id(suffix="__".join(part for part in parts if part))

    def _from(self, moment: datetime) -> str:
        """The first partition that begins at or after a moment."""
        key = self.calendar.key_of(moment)
        return key if self.calendar.start(key) >= moment else self.calendar.shift(key, 1)

    def _run(self, key: str, due: datetime) -> DagRunInfo:
        return DagRunInfo(
            run_after=in_pendulum(due),
            data_interval=None,
            partition_date=in_pendulum(self.calendar.start(key)),
            partition_key=key,
        )


@lru_cache(maxsize=256)
def _due(ticks: Ticks, key: str) -> datetime:
    """The tick of a partition; cached, because it is needed again for the next run."""
    return ticks.at(key)
