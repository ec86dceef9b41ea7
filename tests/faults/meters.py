"""The pipeline `meters`: a source whose rows are all new in every generation, and what the lake must hold.

A generation is one state of the source. Every row of it says which generation it is of, so that whoever reads
a partition sees at once whether it is one whole state of the source or a mixture. The number of rows changes
from generation to generation, and some rows break an expectation of severity `warning`.
"""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
import pyarrow as pa

from evergreen.connections import Connection
from evergreen.lake import PARTITION, Lake, Table

PIPELINES = Path(__file__).parent / "pipelines"
NAME = "meters"
DAYS = ("2024-01-01", "2024-01-02", "2024-01-03")
METERS = 7
TABLES = (Table.PARTITIONS, Table.QUARANTINE)
_FIRST = date(2024, 1, 1)


@dataclass(frozen=True, order=True)
class Reading:
    """One row: its minute of the day, the generation of the source it is from, and its value."""

    minute: int
    generation: int
    value: int

    @property
    def meter(self) -> int:
        """The meter that was read."""
        return self.minute % METERS

    @property
    def bad(self) -> bool:
        """Whether it breaks the expectation."""
        return self.value < 0


@functools.cache
def readings(day: str, generation: int) -> tuple[Reading, ...]:
    """All rows of a day in a generation; none in generation 0."""
    number = (date.fromisoformat(day) - _FIRST).days + 1
    count = 150 + (generation * 37 + number * 11) % 100 if generation else 0
    wrong = (minute for minute in range(count) if (7 * minute + 13 * generation + 31 * number) % 23 == 0)
    values = {minute: 3 * minute + generation for minute in range(count)} | dict.fromkeys(wrong, -generation)
    return tuple(Reading(minute, generation, value) for minute, value in values.items())


@functools.cache
def expected(table: Table, day: str, generation: int) -> frozenset[Reading]:
    """What a lake table must hold of a day when that generation of the source is published."""
    quarantined = table is Table.QUARANTINE
    return frozenset(reading for reading in readings(day, generation) if reading.bad == quarantined)


def create(connection: Connection) -> None:
    """Make the source's table."""
    with psycopg.connect(_address(connection)) as session:
        session.execute(
            "CREATE TABLE readings (at timestamptz, meter integer, generation integer, value integer)"
        )


def load(connection: Connection, generation: int) -> None:
    """Replace all rows of the source by those of a generation, in one transaction."""
    with psycopg.connect(_address(connection)) as session, session.cursor() as cursor:
        cursor.execute("DELETE FROM readings")
        with cursor.copy("COPY readings FROM STDIN") as rows:
            for day in DAYS:
                start = datetime.fromisoformat(day).replace(tzinfo=UTC)
                for one in readings(day, generation):
                    at = start + timedelta(minutes=one.minute)
                    rows.write_row((at, one.meter, one.generation, one.value))


def published(lake: Lake, table: Table) -> dict[str, list[Reading]]:
    """The rows of a lake table by partition, as a reader sees them now."""
    return by_partition(table, lake.read(table))


def by_partition(table: Table, rows: pa.Table) -> dict[str, list[Reading]]:
    """Rows of a lake table as readings, by partition."""
    found: dict[str, list[Reading]] = {}
    for row in rows.to_pylist():
        original = json.loads(row["row"]) if table is Table.QUARANTINE else row
        at = original["at"]
        moment = datetime.fromisoformat(at) if isinstance(at, str) else at
        one = Reading(moment.hour * 60 + moment.minute, int(original["generation"]), int(original["value"]))
        if original["meter"] != one.meter or original["place"] != f"hall {one.meter}":
            raise AssertionError(f"{table}: a row that the source never had: {row}")
        found.setdefault(row[PARTITION], []).append(one)
    return found


def generation_of(table: Table, day: str, rows: Iterable[Reading]) -> int:
    """The generation that these rows are, as a whole; raises `AssertionError` if they are none.

    Rows that are missing, doubled, or of two generations make it none.
    """
    counted = Counter(rows)
    if not counted:
        return 0
    generation = next(iter(counted)).generation
    if counted != Counter(expected(table, day, generation)):
        wanted = expected(table, day, generation)
        doubled = sum(1 for count in counted.values() if count > 1)
        raise AssertionError(
            f"{table} {day}: no whole state of the source: against generation {generation} there are "
            f"{len(wanted - counted.keys())} rows missing, {len(counted.keys() - wanted)} too many, "
            f"{doubled} doubled; generations {sorted({row.generation for row in counted})}"
        )
    return generation


def generations(table: Table, found: Mapping[str, Iterable[Reading]]) -> dict[str, int]:
    """The generation of each of `DAYS`; raises `AssertionError` where a partition is no whole state."""
    strange = sorted(set(found) - set(DAYS))
    assert not strange, f"{table}: partitions that the source never had: {strange}"
    return {day: generation_of(table, day, found.get(day, ())) for day in DAYS}


def _address(connection: Connection) -> str:
    return psycopg.conninfo.make_conninfo(
        host=connection.host,
        port=connection.port,
        user=connection.login,
        password=connection.password,
        dbname=connection.schema,
    )
