"""A time without an offset means the same to every reader of files and of APIs, and so does one with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evergreen.calendar import Zone, zone_of
from evergreen.rows.batches import Rows
from evergreen.sources.files.description import FileSource
from evergreen.sources.files.read import read_file
from evergreen.sources.http.description import HttpSource
from evergreen.sources.http.read import read_http


@dataclass(frozen=True)
class Case:
    """A time as a source writes it, and the moment that it is in a zone; None if it is none."""

    zone: str
    written: str
    meant: datetime | None


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


NAIVE = [
    Case("Europe/Berlin", "2024-07-01 12:00:00", utc(2024, 7, 1, 10)),
    Case("Europe/Berlin", "2024-10-27 02:30:00", utc(2024, 10, 27, 0, 30)),
    Case("Europe/Berlin", "2024-03-31 02:30:00", None),
    Case("America/New_York", "2024-11-03 01:30:00", utc(2024, 11, 3, 5, 30)),
    Case("America/New_York", "2024-03-10 02:30:00", None),
    Case("Australia/Lord_Howe", "2024-04-07 01:45:00", utc(2024, 4, 6, 14, 45)),
    Case("Australia/Lord_Howe", "2024-10-06 02:15:00", None),
    Case("Asia/Kolkata", "2024-01-01 00:00:00", utc(2023, 12, 31, 18, 30)),
    Case("Pacific/Apia", "2011-12-30 12:00:00", None),
    Case("UTC", "2024-03-31 02:30:00", utc(2024, 3, 31, 2, 30)),
    # What stands for "never" stays what can be named last.
    Case("America/New_York", "9999-12-31 23:59:59", datetime.max.replace(tzinfo=UTC)),
]
AWARE = [
    Case("Europe/Berlin", "2024-07-01 12:00:00+00:00", utc(2024, 7, 1, 12)),
    Case("Europe/Berlin", "2024-10-27 02:30:00+01:00", utc(2024, 10, 27, 1, 30)),
    Case("Europe/Berlin", "2024-10-27 02:30:00+02:00", utc(2024, 10, 27, 0, 30)),
    Case("Europe/Berlin", "2024-03-31 02:30:00+01:00", utc(2024, 3, 31, 1, 30)),
]
DECLARED = {"at": "time"}
# A second row, so that a column is not of one time alone; it is a good one in every zone.
SOUND = "2024-01-15 12:00:00"
Read = Callable[[list[str], Zone, dict[str, str]], Rows]


@pytest.fixture
def readers(tmp_path: Path, storage: Any, api: Any, answer: Any) -> dict[str, Read]:
    def file(name: str, write: Callable[[Path, list[str]], None]) -> Read:
        def read(times: list[str], zone: Zone, types: dict[str, str]) -> Rows:
            write(tmp_path / name, times)
            source = FileSource(path=name, time_column="at", types=types)
            return read_file(source, tmp_path, storage, "2024-01-01", None, zone=zone)

        return read

    def called(form: str, write: Callable[[list[str]], str]) -> Read:
        def read(times: list[str], zone: Zone, types: dict[str, str]) -> Rows:
            api.will(answer(body=write(times).encode()))
            source = HttpSource(
                conn_id="shop_api", path="/v1/rows", format=form, time_column="at", types=types
            )
            return read_http(source, api.connection(), "2024-01-01", zone=zone)

        return read

    return {
        "csv": file("rows.csv", lambda path, times: path.write_text(_csv(times))),
        "json_lines": file("rows.jsonl", lambda path, times: path.write_text(_lines(times))),
        "parquet": file("rows.parquet", _parquet),
        "csv of an API": called("csv", _csv),
        "json of an API": called("json", lambda times: json.dumps({"data": [{"at": at} for at in times]})),
        "json_lines of an API": called("json_lines", _lines),
    }


def _csv(times: list[str]) -> str:
    return "at,n\n" + "".join(f"{at},{n}\n" for n, at in enumerate(times))


def _lines(times: list[str]) -> str:
    return "".join(json.dumps({"at": at}) + "\n" for at in times)


def _parquet(path: Path, times: list[str]) -> None:
    naive = not any(at[19:] for at in times)
    kind = pa.timestamp("us") if naive else pa.timestamp("us", tz="UTC")
    pq.write_table(pa.table({"at": pa.array(times, pa.string()).cast(kind)}), path)


def test_every_reader_has_one_rule_for_local_times(readers: dict[str, Read]):
    seen = 0
    for case in [*NAIVE, *AWARE]:
        zone = zone_of(case.zone)
        good = SOUND + ("+00:00" if case in AWARE else "")
        for name, read in readers.items():
            # Of JSON only what is declared may lack an offset.
            kinds = [DECLARED] if name.startswith("json") and case in NAIVE else [{}, DECLARED]
            for types in kinds:
                rows = read([case.written, good], zone, types)
                found = rows.table().column("at").to_pylist()
                sound = zone.moment(datetime.fromisoformat(good)) if case in NAIVE else utc(2024, 1, 15, 12)
                where = f"{name} {case} {types}"
                assert found == ([sound] if case.meant is None else [case.meant, sound]), where
                assert len(rows.rejected) == (case.meant is None), where
                if case.meant is None:
                    assert f"{case.written} does not exist in {case.zone}" in rows.rejected[0].reason, where
                    assert rows.rejected[0].place, where
                seen += 1
    assert seen == 147


def test_a_day_is_the_first_moment_of_the_local_day(readers: dict[str, Read]):
    for zone, day, meant in [
        ("Europe/Berlin", "2024-07-01", utc(2024, 6, 30, 22)),
        ("America/Sao_Paulo", "2018-11-04", utc(2018, 11, 4, 3)),  # midnight was skipped
        ("Asia/Kolkata", "2024-01-01", utc(2023, 12, 31, 18, 30)),
        ("UTC", "2024-01-01", utc(2024, 1, 1)),
    ]:
        for name in ("csv", "csv of an API"):
            assert readers[name]([day], zone_of(zone), {}).table().column("at").to_pylist() == [meant], name


def test_a_day_that_the_clocks_passed_by_is_none(readers: dict[str, Read], tmp_path: Path, storage: Any):
    rows = readers["csv"](["2011-12-29", "2011-12-30", "2011-12-31"], zone_of("Pacific/Apia"), {})
    assert rows.table().column("at").to_pylist() == [utc(2011, 12, 29, 10), utc(2011, 12, 30, 10)]
    assert [(one.place, one.reason) for one in rows.rejected] == [
        ("row 2", "column 'at': a day that the clocks in Pacific/Apia skip")
    ]


def test_lists_of_local_times_are_moments_too(tmp_path: Path, storage: Any):
    times = [[datetime(2024, 7, 1, 12), None], None, []]  # noqa: DTZ001
    column = pa.array([[], *times], pa.list_(pa.timestamp("us"))).slice(1)
    pq.write_table(pa.table({"at": column}), tmp_path / "rows.parquet")
    source = FileSource(path="rows.parquet")
    rows = read_file(source, tmp_path, storage, "snapshot", None, zone=zone_of("Europe/Berlin"))
    assert rows.table().column("at").to_pylist() == [[utc(2024, 7, 1, 10), None], None, []]


def test_a_date_declared_a_time_is_the_first_moment_of_the_local_day(tmp_path: Path, storage: Any):
    pq.write_table(pa.table({"day": pa.array([date(2024, 7, 1), None])}), tmp_path / "rows.parquet")
    source = FileSource(path="rows.parquet", types={"day": "time"})
    rows = read_file(source, tmp_path, storage, "snapshot", None, zone=zone_of("Europe/Berlin"))
    assert rows.table().column("day").to_pylist() == [utc(2024, 6, 30, 22), None]


def test_a_moment_declared_a_date_is_its_local_day(tmp_path: Path, storage: Any):
    moments = pa.array([utc(2024, 6, 30, 22, 30), None], pa.timestamp("us", tz="UTC"))
    pq.write_table(pa.table({"day": moments}), tmp_path / "rows.parquet")
    source = FileSource(path="rows.parquet", types={"day": "date"})
    rows = read_file(source, tmp_path, storage, "snapshot", None, zone=zone_of("Europe/Berlin"))
    assert rows.table().column("day").to_pylist() == [date(2024, 7, 1), None]


def test_the_rows_beside_a_time_that_is_none_are_kept_in_a_large_file(readers: dict[str, Read]):
    times = [f"2024-03-{day:02} {hour:02}:30:00" for day in range(1, 32) for hour in range(24)] * 300
    for name in ("csv", "parquet"):
        rows = readers[name](times, zone_of("Europe/Berlin"), {})
        assert len(rows.table()) == len(times) - 300, name
        assert len({one.place for one in rows.rejected}) == 300, name
