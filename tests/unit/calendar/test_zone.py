"""Zones: when clocks are changed, and the one rule for local times; by hand and by the zone's own file."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, _zoneinfo, available_timezones

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.calendar import NoSuchTimeError, Zone, check_zone, zone_of
from evergreen.calendar import zone as zone_module
from tests.campaign import examples, rounds


def local(*parts: int) -> datetime:
    return datetime(*parts)  # noqa: DTZ001


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "written", "meant"),
    [
        ("Europe/Berlin", local(2024, 7, 1, 12), utc(2024, 7, 1, 10)),
        ("Europe/Berlin", local(2024, 1, 1, 12), utc(2024, 1, 1, 11)),
        # The first of the two, in summer time.
        ("Europe/Berlin", local(2024, 10, 27, 2, 30), utc(2024, 10, 27, 0, 30)),
        ("Europe/Berlin", local(2024, 10, 27, 3), utc(2024, 10, 27, 2)),
        ("America/New_York", local(2024, 11, 3, 1, 59, 59), utc(2024, 11, 3, 5, 59, 59)),
        ("Asia/Kolkata", local(2024, 1, 1), utc(2023, 12, 31, 18, 30)),
        # Put back by half an hour at 02:00.
        ("Australia/Lord_Howe", local(2024, 4, 7, 1, 45), utc(2024, 4, 6, 14, 45)),
        ("Australia/Lord_Howe", local(2024, 4, 7, 2), utc(2024, 4, 6, 15, 30)),
        ("Pacific/Apia", local(2011, 12, 29, 23, 59), utc(2011, 12, 30, 9, 59)),
        ("Pacific/Apia", local(2011, 12, 31), utc(2011, 12, 30, 10)),
    ],
)
def test_a_local_time_is_the_first_moment_that_shows_it(zone: str, written: datetime, meant: datetime):
    assert zone_of(zone).moment(written) == meant


@pytest.mark.parametrize(
    ("zone", "written", "between"),
    [
        ("Europe/Berlin", local(2024, 3, 31, 2), "02:00 to 03:00"),
        ("Europe/Berlin", local(2024, 3, 31, 2, 59, 59, 999_999), "02:00 to 03:00"),
        ("Australia/Lord_Howe", local(2024, 10, 6, 2, 29), "02:00 to 02:30"),
        ("America/Sao_Paulo", local(2018, 11, 4, 0, 30), "00:00 to 01:00"),
        ("Pacific/Apia", local(2011, 12, 30, 12), "2011-12-30 00:00 to 2011-12-31 00:00"),
    ],
)
def test_a_local_time_that_the_clocks_skip_is_none(zone: str, written: datetime, between: str):
    with pytest.raises(NoSuchTimeError, match=re.escape(f"does not exist in {zone}")) as refused:
        zone_of(zone).moment(written)
    assert str(refused.value).endswith(between)


def test_the_changes_are_those_of_the_tz_database():
    # The pure Python reader of the same files keeps them as a list; what follows it is a rule for ever.
    end, seen = datetime(2036, 1, 1, tzinfo=UTC).timestamp(), 0
    for name in sorted(available_timezones())[:: rounds(3, 1)]:  # a third has zones of every kind
        read = _zoneinfo.ZoneInfo.no_cache(name)
        wanted, last = [], read._tti_before.utcoff if read._tti_before else None
        for at, kind in zip(read._trans_utc, read._ttinfos, strict=True):
            if kind.utcoff != last and at < end:
                wanted.append((at, kind.utcoff))
            last = kind.utcoff
        found = [
            (s.at.replace(tzinfo=UTC).timestamp(), s.offset) for s in Zone(name).changes(2035).stretches[1:]
        ]
        assert found[: len(wanted)] == wanted, name
        seen += len(wanted)
    assert seen > rounds(10_000, 30_000)


@pytest.mark.parametrize(
    "zone",
    ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"],
)
@settings(max_examples=examples(50))
@given(
    hours=st.lists(
        st.datetimes(datetime(1850, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001
        | st.sampled_from([local(2024, 10, 27, 2), local(2024, 3, 31, 2), local(2011, 12, 30)]),
        max_size=8,
    )
)
def test_arrays_follow_the_same_rule_as_one_time(zone: str, hours: list[datetime]):
    since, tick = datetime(1970, 1, 1), timedelta(microseconds=1)  # noqa: DTZ001
    moments, exist = zone_of(zone).moments(np.array([(at - since) // tick for at in hours], dtype=np.int64))
    for written, moment, exists in zip(hours, moments.tolist(), exist.tolist(), strict=True):
        # By PEP 495 a time that is skipped does not come back as itself.
        meant = written.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
        assert exists == (meant.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == written)
        if exists:
            assert since.replace(tzinfo=UTC) + moment * tick == meant == zone_of(zone).moment(written)
        else:
            with pytest.raises(NoSuchTimeError):
                zone_of(zone).moment(written)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("europe/berlin", "did you mean Europe/Berlin?"),
        ("Berlin", "did you mean Europe/Berlin?"),
        ("Europe/Berln", "did you mean Europe/Berlin or"),
        ("New York", "did you mean America/New_York?"),
        ("Mars", "write one like 'Europe/Berlin'"),
        ("Europe", "write one like 'Europe/Berlin'"),
        ("../../etc/passwd", "write one like 'Europe/Berlin'"),
        ("", "write one like 'Europe/Berlin'"),
        ("localtime", "differs from machine to machine"),
    ],
)
def test_a_wrong_name_is_answered_with_the_right_one(name: str, meant: str):
    with pytest.raises(ValueError, match=re.escape(meant)):
        check_zone(name)
    assert check_zone("Asia/Kolkata") == "Asia/Kolkata"


def test_a_placeholder_in_the_far_future_does_not_make_later_reads_slow(monkeypatch):
    zone, made = Zone("Europe/Berlin"), []
    since_1970 = zone_module._since_1970
    monkeypatch.setattr(zone_module, "_since_1970", lambda at: made.append(at) or since_1970(at))
    times = np.array([since_1970(local(9999, 12, 31)), since_1970(local(2024, 7, 1))])
    zone.moments(times)
    assert len(made) > 16_000
    made.clear()
    for _ in range(100):
        zone.moments(times)
    assert len(made) < 1_000
