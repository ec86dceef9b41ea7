"""Keeps the rentals of a database up to yesterday by the simulator, for the containers of the demo."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
from adbc_driver_postgresql import dbapi

from deploy.demo_data.simulator import FIRST_DAY, simulate
from deploy.demo_data.sources import RENTALS, RENTALS_TABLE, yesterday

_TYPES = pa.schema(
    [
        ("rented_at", pa.timestamp("us", "UTC")),
        ("holiday", pa.bool_()),
        *((name, pa.int32()) for name in ("casual", "registered", "cnt")),
    ]
)


def append_missing(address: str, last: date) -> int:
    """Append the simulated days up to `last` that the table rentals at `address` lacks; returns the rows.

    The table is created where it is missing. A transaction holds it all.
    """
    with dbapi.connect(address) as connection, connection.cursor() as cursor:
        cursor.execute(RENTALS_TABLE)
        connection.commit()
        first = _newest(cursor) + timedelta(days=1)
        if first > last:
            return 0
        rows = pa.Table.from_pandas(
            simulate(first, last).rentals[list(RENTALS)], _TYPES, preserve_index=False
        )
        cursor.adbc_ingest("rentals", rows, mode="append")
        connection.commit()
        return rows.num_rows


def feed(address: str, pause: float = 300.0) -> None:
    """Append what is missing every `pause` seconds, for ever; a failure is logged and tried again."""
    while True:
        try:
            message = f"appended {rows} rows" if (rows := append_missing(address, yesterday())) else ""
        except dbapi.Error as error:
            message = f"nothing appended: {str(error).splitlines()[0]}"
        if message:
            print(f"{datetime.now(tz=UTC).isoformat(timespec='seconds')} {message}", flush=True)
        time.sleep(pause)


def _newest(cursor: Any) -> date:
    cursor.execute("SELECT max(rented_at) FROM rentals")
    newest = cursor.fetchone()[0]
    return newest.astimezone(UTC).date() if newest else FIRST_DAY - timedelta(days=1)
