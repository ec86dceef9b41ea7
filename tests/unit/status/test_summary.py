from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from evergreen.alerts.alert import Alert
from evergreen.monitoring.record import Decision
from evergreen.registry.history import Force
from evergreen.signals.record import Record
from evergreen.status.summary import Facts, age_of, summary
from tests.unit.monitoring.kiosk_records import DAYS, KIOSK, record

MOMENT = datetime(2024, 2, 1, 12, tzinfo=UTC)
FORCE = Force(1, (("2024-01-20", "2024-01-20-aaaa"),))


def night(number: int, reason: str = "no retraining", **changes: Any) -> tuple[Record, Decision]:
    return record(number, **changes), Decision(DAYS[number], False, reason, {})


def test_without_anything_it_says_what_to_do_first():
    found = summary(KIOSK, Facts(Force()), MOMENT)
    assert (found.champion, found.age, found.newest, found.error, found.last) == (None,) * 5
    assert found.to_do == "nothing is published yet: evergreen ingest kiosk"
    published = summary(KIOSK, Facts(Force(), DAYS[:30]), MOMENT)
    assert published.to_do == "no version is in force yet: evergreen train kiosk"
    waiting = Facts(Force(), DAYS[:30], undecided=["2024-01-20-aaaa"])
    assert summary(KIOSK, waiting, MOMENT).to_do == (
        "a version waits for a person: evergreen models promote kiosk 2024-01-20-aaaa"
    )


def test_the_error_is_that_of_the_last_night_with_labels():
    nights = [
        night(20, error=11.0, metrics={"mae": {"pooled": 10.5}}),
        night(21, error=12.0, metrics={"mae": {"pooled": 11.25}}),
        night(22, "no labels yet", error=None),
    ]
    alert = Alert("bias", "warning", "it is biased", "too high by 3", "kiosk", DAYS[21])
    found = summary(KIOSK, Facts(FORCE, DAYS[:23], {"rows": 95, "quarantined": 5}, nights, [alert]), MOMENT)
    assert (found.error, found.promised, found.measured) == (11.25, 10.0, DAYS[21])
    assert found.last is not None
    assert (found.last.partition, found.last.reason, found.last.error) == (DAYS[22], "no labels yet", None)
    assert (found.champion, found.age, found.newest, found.partitions) == ("2024-01-20-aaaa", 4, DAYS[22], 23)
    assert (found.quarantined, found.alerts, found.to_do) == (0.05, (alert,), None)


def test_the_next_tick_is_the_first_after_the_moment():
    found = summary(KIOSK, Facts(FORCE, DAYS[:23]), MOMENT)
    tick = next(iter(KIOSK.ticks.following(MOMENT, KIOSK.first_partition)))
    assert (found.next_at, found.next_partitions) == (tick.at, tick.partitions)
    assert found.next_at is not None
    assert found.next_at > MOMENT


def test_a_partition_that_no_night_has_seen_is_to_be_scored():
    found = summary(KIOSK, Facts(FORCE, DAYS[:24], nights=[night(22)]), MOMENT)
    assert found.to_do == (
        f"{DAYS[23]} is published and not monitored yet: evergreen score kiosk, then evergreen monitor kiosk"
    )


def test_age_counts_what_is_published_since_the_training():
    assert age_of("2024-01-20-aaaa", ["2024-01-18", "2024-01-20", "2024-01-23"]) == 2
    assert age_of(None, DAYS) is None
