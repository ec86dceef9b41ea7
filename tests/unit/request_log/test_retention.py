"""How long logged rows are kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from evergreen.calendar import Calendar, Grain, Length
from evergreen.request_log.retention import expired
from evergreen.storage import Listed

AT = datetime(2024, 1, 1, tzinfo=UTC)


def logged(*keys: str) -> dict[str, list[Listed]]:
    return {key: [Listed(f"{key}/a", 1, AT), Listed(f"{key}/b", 1, AT)] for key in keys}


def test_partitions_far_from_the_newest_published_one_are_dropped() -> None:
    kept = ("2024-03-02", "2024-03-01", "2024-02-29", "2024-03-04")
    dropped = ("2024-02-28", "2024-03-05", "9999-12-31", "2024-03", "snapshot")
    found = expired(Calendar(Grain.DAILY), Length(2, "day"), "2024-03-02", logged(*kept, *dropped))
    assert found == [f"{key}/{name}" for key in dropped for name in "ab"]


def test_a_late_publication_drops_nothing_that_was_asked_since() -> None:
    assert expired(Calendar(Grain.DAILY), Length(30, "day"), "2024-01-01", logged("2024-01-31")) == []


def test_of_a_snapshot_the_stores_times_count_from_its_newest_object() -> None:
    ages = {"new": 0, "kept": 30, "old": 31}
    entries = [Listed(name, 1, AT - timedelta(days=days)) for name, days in ages.items()]
    keep = Length(30, "day")
    assert expired(Calendar(Grain.SNAPSHOT), keep, "snapshot", {"snapshot": entries}) == ["old"]
    assert expired(Calendar(Grain.SNAPSHOT), keep, "snapshot", {}) == []
