"""The facts of a week over a real store: what ends in it, and nothing of what came later."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from evergreen.calendar import Grain, PartitionError
from evergreen.errors import NotFoundError
from evergreen.lake import Table
from evergreen.monitoring.record import SCHEMA, to_table
from evergreen.pipeline import Pipeline
from evergreen.registry.history import Kind
from evergreen.reports.facts import Broken
from evergreen.reports.read_week import events_of_week, week_facts
from evergreen.reports.stage import write_night, write_week
from evergreen.reports.store import reports_in
from evergreen.stages import INGEST
from evergreen.storage import Storage
from evergreen.timings import timed
from evergreen.validation.quarantine import QUARANTINE
from tests.unit.monitoring.kiosk_records import DAYS, KIOSK
from tests.unit.reports.kiosk_nights import WEEK, event, night

VERSION = f"{DAYS[20]}-0123456789ab"


@pytest.fixture
def pipeline(storage: Storage) -> Pipeline:
    """A kiosk with a week that lacks its Wednesday, and two rows of its Tuesday in quarantine."""
    pipeline = Pipeline(KIOSK, storage)
    there = [day for day in DAYS[20:29] if day != WEEK[2]]
    pipeline.lake.replace(Table.PARTITIONS, dict.fromkeys(there, pa.table({"sold": [1.0]})))
    aside = [
        {"row": "{}", "expectation": broken, "reason": "sold is missing", "place": ""}
        for broken in ("sold is not null", "sold is not null; sold is small")
    ]
    pipeline.lake.replace(Table.QUARANTINE, {WEEK[1]: pa.Table.from_pylist(aside, QUARANTINE)})
    pipeline.registry.commit(VERSION, {"model.skops": b"m"})
    pipeline.registry.promote(VERSION, DAYS[20], {})
    nights = {DAYS[day]: to_table(*night(day, version=VERSION)) for day in (20, 21, 22, 24, 25, 27)}
    pipeline.lake.replace(Table.MONITORING, nights, SCHEMA)
    return pipeline


def test_a_week_is_told_from_what_ends_in_it(pipeline: Pipeline):
    found = week_facts(pipeline, WEEK[3])
    assert (found.week, found.over, found.expected, found.partition) == (WEEK[0], True, WEEK, WEEK[-1])
    assert found.published == [day for day in WEEK if day != WEEK[2]]
    (gap,) = found.gaps
    assert (gap.first, gap.count, gap.empty) == (WEEK[2], 1, False)
    assert gap.sentence == f"{WEEK[2]} is not published: no ingest has tried it"
    assert found.aside == [Broken("sold is not null", 2, 1), Broken("sold is small", 1, 1)]
    assert [record.partition for record, _ in found.of_week] == [*WEEK[:2], *WEEK[3:5], WEEK[6]]
    assert found.nights[0][0].partition == DAYS[20]
    assert (found.unseen, found.events, found.in_force) == ([WEEK[5]], [], VERSION)


def test_a_day_that_was_ingested_without_rows_is_an_empty_one(pipeline: Pipeline):
    with timed(pipeline, INGEST, WEEK[2]):
        pass
    assert [gap.empty for gap in week_facts(pipeline, WEEK[0]).gaps] == [True]


def test_a_week_that_lasts_is_told_up_to_its_newest_partition(pipeline: Pipeline):
    found = week_facts(pipeline, DAYS[30])
    assert (found.over, found.expected, found.gaps) == (False, [DAYS[28]], [])


def test_a_week_that_has_not_begun_has_no_report(pipeline: Pipeline):
    said = f"kiosk {DAYS[99]}: nothing of the week of .* the newest is {DAYS[28]}: name a partition"
    with pytest.raises(NotFoundError, match=said):
        week_facts(pipeline, DAYS[99])


def test_a_report_made_again_after_further_nights_has_the_same_bytes(pipeline: Pipeline):
    before = write_week(pipeline, WEEK[0])
    later = {DAYS[28]: to_table(*night(28, version=VERSION, error=99.0))}
    pipeline.lake.replace(Table.MONITORING, later, SCHEMA)
    pipeline.registry.commit(f"{DAYS[28]}-bbbb", {"model.skops": b"n"})
    pipeline.registry.promote(f"{DAYS[28]}-bbbb", DAYS[28], {})
    assert write_week(pipeline, WEEK[-1]) == before
    assert pipeline.storage.read(before.key).body == before.page
    write_night(pipeline, WEEK[-1])
    assert reports_in(pipeline.storage, "kiosk") == [f"week-{WEEK[0]}", WEEK[-1]]


@pytest.mark.parametrize(
    ("grain", "key", "week", "first", "count"),
    [
        (Grain.HOURLY, "2024-01-28T23", "2024-01-22", "2024-01-22T00", 168),
        (Grain.WEEKLY, "2024-01-22", "2024-01-22", "2024-01-22", 1),
        (Grain.MONTHLY, "2024-01", "2024-01-29", "2024-01", 1),
    ],
)
def test_a_week_of_every_grain(storage: Storage, grain: Grain, key: str, week: str, first: str, count: int):
    pipeline = Pipeline(KIOSK.model_copy(update={"partition": grain}), storage)
    pipeline.lake.replace(Table.PARTITIONS, {key: pa.table({"sold": [1.0]})})
    record, decision = night(0, version=VERSION)
    alone = to_table(replace(record, partition=key), replace(decision, partition=key))
    pipeline.lake.replace(Table.MONITORING, {key: alone}, SCHEMA)
    found = week_facts(pipeline, key)
    assert (found.week, found.expected[0], len(found.expected), found.over) == (week, first, count, True)
    assert [gap.count for gap in found.gaps] == ([167] if count > 1 else [])
    assert [one.partition for one, _ in found.of_week] == [key]
    assert write_week(pipeline, key).report.name == f"week-{week}"


def test_a_snapshot_has_no_weeks(storage: Storage):
    snapshot = Pipeline(KIOSK.model_copy(update={"partition": Grain.SNAPSHOT}), storage)
    with pytest.raises(PartitionError, match="a snapshot has no time"):
        week_facts(snapshot, "snapshot")


def test_each_event_is_of_one_week_and_what_a_person_does_of_the_week_in_which_it_is_done():
    promoted = [event(Kind.PROMOTED, day) for day in (DAYS[20], WEEK[0], WEEK[-1], DAYS[28])]
    back = event(Kind.ROLLED_BACK, DAYS[3], at=f"{WEEK[2]}T10:00:00+00:00")
    found = events_of_week(KIOSK, [*promoted, back], WEEK[0], WEEK[-1])
    assert [one.as_of for one in found] == [WEEK[0], WEEK[-1], DAYS[3]]
