"""The timetable of partitions: ten years of runs against clocks and crons that are not ours, and its life."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from airflow.exceptions import InvalidPartitionKeyError
from airflow.serialization.decoders import decode_timetable
from airflow.serialization.encoders import encode_timetable
from airflow.timetables.base import DagRunInfo, TimeRestriction
from airflow.timetables.trigger import CronTriggerTimetable
from airflow.utils.types import DagRunType
from pendulum import instance

from evergreen.calendar import Calendar, Grain, Schedule, Ticks, Weekday
from evergreen_airflow import timetable as module
from evergreen_airflow.timetable import PartitionTimetable
from tests.campaign import FULL

FIRST, LAST = date(2017, 1, 1), date(2026, 12, 31)
ZONES = ("UTC", "Europe/Berlin", "America/New_York")
CRONS = {
    Grain.HOURLY: ("5 * * * *", "0 */6 * * *", "30 2 * * *", "0,30 * * * *", "30 1 * * 1-5"),
    Grain.DAILY: (
        "0 2 * * *",
        "30 2 * * *",
        "0 2 * * 1-5",
        "@daily",
        "0 */6 * * *",
        "@weekly",
        "0 5 1,15 * *",
        "30 1 * * *",
    ),
    Grain.WEEKLY: ("0 3 * * 2", "@weekly", "0 2 * * *", "@monthly", "0 0 * * MON", "0 9-17/4 * * *"),
    Grain.MONTHLY: ("30 4 1 * *", "0 2 * * *", "0 6 * * 1", "@yearly", "0 0 29 2 *", "0 0 L * *"),
}
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def due(at: str) -> datetime:
    return datetime.fromisoformat(at).replace(tzinfo=UTC)


def made(grain: str, *crons: str, zone: str = "UTC") -> PartitionTimetable:
    schedules = tuple(Schedule(cron, zone) for cron in crons)
    return PartitionTimetable(Ticks(Calendar(Grain(grain), zone), schedules))


def moment(local: datetime, zone: str) -> datetime:
    return local.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


@cache
def bounds(grain: Grain, zone: str, first: date, last: date) -> list[datetime]:
    """When partitions begin, by the clocks of `zoneinfo` alone, and at last when the newest ends."""
    days = [first + number * DAY for number in range((last - first).days + 1)]
    midnights = {day: moment(datetime.combine(day, time()), zone) for day in days}
    if grain is Grain.HOURLY:
        start, end = midnights[first], midnights[last]
        return [start + number * HOUR for number in range((end - start) // HOUR + 1)]
    begins = {
        Grain.DAILY: lambda day: True,
        Grain.WEEKLY: lambda day: day.weekday() == 0,
        Grain.MONTHLY: lambda day: day.day == 1,
    }[grain]
    return [midnights[day] for day in days if begins(day)]


@cache
def ticks_of_airflow(cron: str, zone: str, first: date, last: date) -> list[datetime]:
    """The ticks of Airflow's own timetable for the cron, and one after the last day."""
    theirs = CronTriggerTimetable(cron, timezone=zone)
    tick, end = instance(moment(datetime.combine(first, time()), zone)) - DAY, last + 32 * DAY
    found = []
    while not found or found[-1].date() <= end:
        tick = theirs._get_next(tick)
        found.append(tick)
    return found


# In a quick run, of how many changes of the clocks one is walked (odd, for spring and autumn alternate), and
# how many days before and after it.
QUICK = {Grain.HOURLY: (13, DAY), Grain.DAILY: (7, 5 * DAY), Grain.WEEKLY: (13, 40 * DAY)}


def stretches(grain: Grain) -> list[tuple[date, date]]:
    """The days to walk: all ten years, or for a quick run those around changes of the clocks."""
    if FULL or grain is Grain.MONTHLY:
        return [(FIRST, LAST)]
    changes = [
        day
        for zone in ZONES
        for day in (FIRST + number * DAY for number in range((LAST - FIRST).days))
        if offset(day, zone) != offset(day + DAY, zone)
    ]
    step, wide = QUICK[grain]
    return [(day - wide, day + wide + DAY) for day in changes[::step]]


def offset(day: date, zone: str) -> timedelta | None:
    return datetime.combine(day, time(), tzinfo=ZoneInfo(zone)).utcoffset()


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("grain", CRONS)
def test_each_partition_is_run_once_in_order_at_the_first_tick_after_its_end(
    grain: Grain, zone: str, tell: Callable[[str], None]
) -> None:
    walked = alone = beside = idle = 0
    for cron in CRONS[grain]:
        timetable = made(grain, cron, zone=zone)
        for first, last in stretches(grain):
            begins, ticks = bounds(grain, zone, first, last), ticks_of_airflow(cron, zone, first, last)
            runs = list(caught_up(timetable, begins[0], len(begins) - 1))
            assert [run.partition_date for run in runs] == begins[:-1]
            assert all(one.partition_key < other.partition_key for one, other in pairwise(runs))
            expected = [ticks[bisect_left(ticks, end)] for end in begins[1:]]
            assert [run.run_after for run in runs] == expected
            used = set(expected)
            walked, alone = walked + len(runs), alone + len(used)
            beside += len(runs) - len(used)
            idle += sum(tick not in used for tick in ticks if expected[0] <= tick <= expected[-1])
    tell(f"{grain}, {zone}: {walked} partitions at {alone} ticks, {idle} ticks of none")
    assert walked == alone + beside
    # Both kinds of tick are among them: those that take several partitions, and those that take none.
    assert beside
    assert idle


def caught_up(timetable: PartitionTimetable, since: datetime, count: int) -> Iterator[DagRunInfo]:
    """The runs as the scheduler asks for them, one after another."""
    last = None
    for _ in range(count):
        last = timetable.next_dagrun_info_v2(
            last_dagrun_info=last, restriction=TimeRestriction(instance(since), None, catchup=True)
        )
        assert last is not None
        assert last.data_interval is None
        yield last


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Sets what the timetable takes for now."""
    return lambda now: monkeypatch.setattr(module, "utcnow", lambda: now)


def following(
    timetable: PartitionTimetable, last: DagRunInfo | None, since: str = "2024-01-01"
) -> DagRunInfo:
    """The next run of a DAG without `catchup`, as all of them are."""
    found = timetable.next_dagrun_info_v2(
        last_dagrun_info=last, restriction=TimeRestriction(instance(due(since)), None, catchup=False)
    )
    assert found is not None
    return found


def test_a_new_dag_begins_with_what_the_newest_tick_takes(clock: Callable[[datetime], None]) -> None:
    timetable = made("daily", "0 2 * * 1-5")
    clock(due("2024-05-06T09:00"))
    first = following(timetable, None)
    assert (first.partition_key, first.run_after) == ("2024-05-03", due("2024-05-06T02:00"))
    assert following(timetable, None, since="2024-05-05").partition_key == "2024-05-05"
    assert following(timetable, None, since="2024-06-01").partition_key == "2024-06-01"


def test_mondays_tick_makes_three_runs(clock: Callable[[datetime], None]) -> None:
    timetable, last, found = made("daily", "0 2 * * 1-5"), None, []
    clock(due("2024-05-06T02:00"))
    for _ in range(4):
        last = following(timetable, last)
        found.append(f"{last.partition_key} {last.run_after:%m-%dT%H:%M}")
    assert found == [
        "2024-05-03 05-06T02:00",
        "2024-05-04 05-06T02:00",
        "2024-05-05 05-06T02:00",
        "2024-05-06 05-07T02:00",
    ]


def test_after_a_pause_the_runs_go_on_with_what_the_newest_tick_takes(
    clock: Callable[[datetime], None],
) -> None:
    timetable = made("hourly", "0 */6 * * *")
    clock(due("2024-05-01T06:00"))
    last = following(timetable, None)
    assert last.partition_key == "2024-05-01T00"
    clock(due("2024-05-09T13:00"))
    for hour in range(1, 6):
        last = following(timetable, last)
        assert last.partition_key == f"2024-05-01T{hour:02d}", "what is begun of a tick is finished"
        assert last.run_after == due("2024-05-01T06:00")
    last = following(timetable, last)
    assert (last.partition_key, last.run_after) == ("2024-05-09T06", due("2024-05-09T12:00"))


def test_a_backfill_of_the_past_is_not_gone_on_with(clock: Callable[[datetime], None]) -> None:
    timetable = made("daily", "0 2 * * 1-5")
    clock(due("2024-05-08T09:00"))
    (friday,) = timetable.iter_partition_dagrun_infos(earliest=due("2011-01-07"), latest=due("2011-01-07"))
    assert friday.partition_key == "2011-01-07"
    assert following(timetable, friday).partition_key == "2024-05-07"


def test_a_dag_that_has_an_end_has_no_run_after_it() -> None:
    timetable = made("daily", "0 2 * * *")
    restriction = TimeRestriction(
        instance(due("2024-05-01")), instance(due("2024-05-03T23:59")), catchup=True
    )
    last, keys = None, []
    while last := timetable.next_dagrun_info_v2(last_dagrun_info=last, restriction=restriction):
        keys.append(last.partition_key)
    assert keys == ["2024-05-01", "2024-05-02"]


@pytest.mark.parametrize(
    ("grain", "zone", "earliest", "latest", "keys"),
    [
        ("daily", "UTC", "2024-05-01", "2024-05-03", ["2024-05-01", "2024-05-02", "2024-05-03"]),
        ("daily", "America/New_York", "2024-05-01", "2024-05-02T23:59", ["2024-05-01", "2024-05-02"]),
        ("daily", "Europe/Berlin", "2024-03-30", "2024-03-31", ["2024-03-30", "2024-03-31"]),
        ("hourly", "Europe/Berlin", "2024-03-31T01", "2024-03-31T03", ["2024-03-31T01", "2024-03-31T03"]),
        ("weekly", "UTC", "2024-05-01", "2024-05-13", ["2024-05-06", "2024-05-13"]),
        ("monthly", "UTC", "2024-01-01", "2024-02-29", ["2024-01", "2024-02"]),
    ],
)
def test_a_backfill_runs_what_begins_between_its_local_dates(
    grain: str, zone: str, earliest: str, latest: str, keys: list[str]
) -> None:
    timetable = made(grain, "0 2 * * *", zone=zone)
    runs = list(timetable.iter_partition_dagrun_infos(earliest=due(earliest), latest=due(latest)))
    assert [run.partition_key for run in runs] == keys
    for run in runs:
        assert run.partition_date == timetable.resolve_partition_date(run.partition_key)
        assert run.run_after == timetable.calendar.end(run.partition_key), (
            "as soon as it has ended, never earlier"
        )
        assert run.data_interval is None


def test_a_key_that_is_none_is_refused_by_the_form() -> None:
    with pytest.raises(InvalidPartitionKeyError, match="'2024-5-1' is not a"):
        made("daily", "0 2 * * *").resolve_partition_date("2024-5-1")


def test_it_survives_being_stored() -> None:
    calendar = Calendar(Grain.WEEKLY, "America/New_York", Weekday.SUNDAY)
    ticks = Ticks(
        calendar, (Schedule("0 3 * * 2", calendar.timezone), Schedule("0 8 * * *", calendar.timezone))
    )
    stored = json.loads(json.dumps(encode_timetable(PartitionTimetable(ticks))))
    assert stored["__type"] == "evergreen_airflow.timetable.PartitionTimetable"
    back = decode_timetable(stored)
    assert isinstance(back, PartitionTimetable)
    assert back.ticks == ticks
    assert back.summary == "0 3 * * 2, 0 8 * * * (America/New_York)"
    assert back.description == (
        "each week that has ended: 0 3 * * 2 (America/New_York), then 0 8 * * * (America/New_York)"
    )


def test_no_run_is_due_by_the_clock_while_it_is_held() -> None:
    timetable = made("daily", "0 2 * * *")
    held = timetable.held_back()
    restriction = TimeRestriction(instance(due("2024-05-01")), None, catchup=True)
    assert timetable.next_dagrun_info_v2(last_dagrun_info=None, restriction=restriction)
    for each in (held, decode_timetable(json.loads(json.dumps(encode_timetable(held))))):
        assert each.next_dagrun_info_v2(last_dagrun_info=None, restriction=restriction) is None
        days = each.iter_partition_dagrun_infos(earliest=due("2024-05-01"), latest=due("2024-05-02"))
        assert [run.partition_key for run in days] == ["2024-05-01", "2024-05-02"]
        assert each.description == "each day that has ended: 0 2 * * * (UTC), held back"


def test_runs_of_one_tick_have_ids_of_their_own() -> None:
    timetable, at = made("daily", "0 2 * * 1-5"), instance(due("2024-05-06T02:00"))
    ids = {
        timetable.generate_run_id(
            run_type=DagRunType.SCHEDULED, run_after=at, data_interval=None, partition_key=key
        )
        for key in ("2024-05-03", "2024-05-04", "2024-05-04")
    }
    assert len(ids) == 3
    assert all(run_id.startswith("scheduled__2024-05-06T02:00:00+00:00__2024-05-0") for run_id in ids)
    assert timetable.generate_run_id(run_type=DagRunType.MANUAL, run_after=at, data_interval=None).startswith(
        "manual__2024-05-06T02:00:00+00:00__"
    )
