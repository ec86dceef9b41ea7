"""Reports over a real store: what is read, and the page that is written and written again."""

from __future__ import annotations

import pyarrow as pa
import pytest

from evergreen.alerts.alert import Alert
from evergreen.alerts.book import Book, Entry, write_book
from evergreen.alerts.mute import Mute
from evergreen.calendar import PartitionError
from evergreen.lake import Table
from evergreen.monitoring.record import SCHEMA, to_table
from evergreen.pipeline import Pipeline
from evergreen.reports.read import night_facts
from evergreen.reports.stage import write_night
from evergreen.reports.store import reports_in
from evergreen.storage import Storage
from evergreen.validation.quarantine import QUARANTINE
from tests.unit.monitoring.kiosk_records import DAYS, KIOSK
from tests.unit.reports.kiosk_nights import night

DAY, NEXT = DAYS[22], DAYS[23]
VERSION = f"{DAYS[20]}-0123456789ab"


@pytest.fixture
def pipeline(storage: Storage) -> Pipeline:
    """A kiosk with three monitored nights, one row of the last but one in quarantine."""
    pipeline = Pipeline(KIOSK, storage)
    pipeline.lake.replace(Table.PARTITIONS, dict.fromkeys(DAYS[19:24], pa.table({"sold": [1.0]})))
    aside = {"row": "{}", "expectation": "sold is not null", "reason": "sold is missing", "place": ""}
    pipeline.lake.replace(Table.QUARANTINE, {DAY: pa.Table.from_pylist([aside], QUARANTINE)})
    pipeline.registry.commit(VERSION, {"model.skops": b"m"})
    pipeline.registry.promote(VERSION, DAYS[20], {})
    nights = {DAYS[day]: to_table(*night(day, version=VERSION)) for day in (21, 22, 23)}
    pipeline.lake.replace(Table.MONITORING, nights, SCHEMA)
    return pipeline


def test_a_night_is_told_from_what_was_there_up_to_it(pipeline: Pipeline):
    found = night_facts(pipeline, DAY)
    assert (found.published[-1], found.in_force, [one.partition for one, _ in found.nights]) == (
        DAY,
        VERSION,
        [DAYS[21], DAY],
    )
    assert found.came.sentence == f"{DAY} is published, and 1 more in quarantine"
    assert found.events == [], "the promotion belongs to earlier nights"
    assert [event.version for event in night_facts(pipeline, DAYS[20]).events] == [VERSION]
    with pytest.raises(PartitionError):
        night_facts(pipeline, "yesterday")


def test_a_report_made_again_after_further_nights_has_the_same_bytes(pipeline: Pipeline):
    before = write_night(pipeline, DAY)
    later = {DAYS[24]: to_table(*night(24, version=VERSION, error=99.0))}
    pipeline.lake.replace(Table.MONITORING, later, SCHEMA)
    pipeline.registry.commit(f"{DAYS[25]}-bbbb", {"model.skops": b"n"})
    pipeline.registry.promote(f"{DAYS[25]}-bbbb", DAYS[25], {})
    assert write_night(pipeline, DAY) == before
    assert pipeline.storage.read(before.key).body == before.page
    write_night(pipeline, NEXT)
    assert reports_in(pipeline.storage, "kiosk") == [NEXT, DAY]


def test_alerts_that_are_open_are_those_of_the_record_and_those_that_it_says_nothing_of(pipeline: Pipeline):
    def entry(key: str, partition: str, over: bool = False) -> Entry:
        return Entry(Alert(key, "warning", key, "see", "kiosk", partition), {}, over)

    entries = {
        "drift": entry("drift", DAYS[21]),  # the record of the night says that it is over
        "failed_train_gate": entry("failed_train_gate", DAYS[21]),
        "failed_score_score": entry("failed_score_score", DAY, over=True),
        "failed_ingest_publish": entry("failed_ingest_publish", NEXT),
    }
    write_book(pipeline.storage, "kiosk", Book(entries), None)
    assert [alert.key for alert in night_facts(pipeline, DAY).alerts] == ["failed_train_gate"]
    pipeline.lake.replace(Table.MONITORING, {DAY: to_table(*night(22, error=90.0))}, SCHEMA)
    assert [alert.key for alert in night_facts(pipeline, DAY).alerts] == ["performance", "failed_train_gate"]


def test_a_muted_alert_is_known_to_somebody(pipeline: Pipeline):
    entry = Entry(Alert("failed_train_gate", "warning", "train failed", "see", "kiosk", DAY))
    muted = Mute("failed_train_gate", "ann", "2024-01-23T08:00:00+00:00")
    write_book(pipeline.storage, "kiosk", Book({"failed_train_gate": entry}, mutes=(muted,)), None)
    assert night_facts(pipeline, DAY).alerts == []
