"""Processes that write predictions, or hold their table, and are killed.

They are forked from one that has imported everything: to begin each anew took longer than what it does.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection as Pipe
from multiprocessing.context import ForkServerProcess
from typing import Any

import pyarrow as pa

from evergreen.connections import Connection
from evergreen.databases.registry import writer
from evergreen.scoring.sink import write_predictions

TABLE = "predictions"
DAYS = [f"2024-01-{day:02}" for day in range(1, 5)]
ROWS = 3000

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([__name__])


def predictions(rows: int = 3, value: float = 1.0) -> pa.Table:
    times = [datetime(2024, 1, 2, tzinfo=UTC) + timedelta(seconds=each) for each in range(rows)]
    return pa.table(
        {
            "sold": pa.array(times, pa.timestamp("us", tz="UTC")),
            "prediction": pa.array([value] * rows, pa.float64()),
            "actual": pa.array([None] * rows, pa.float64()),
            "version": ["v1"] * rows,
        }
    )


def write(sink: Connection, table: pa.Table, partition: str = "2024-01-02") -> None:
    write_predictions(sink, TABLE, ["sold"], table, partition)


def begun(work: Callable[..., None], *arguments: Any) -> ForkServerProcess:
    """A process that does one of the two below, once it has said that it is ready."""
    here, there = _FORKS.Pipe(duplex=False)
    process = _FORKS.Process(target=work, args=(there, *arguments), daemon=True)
    process.start()
    there.close()
    assert here.poll(120)
    assert here.recv() == "ready"
    return process


def write_all(told: Pipe, sink: Connection, value: float) -> None:
    """Write each of the days, all rows with the value."""
    table = predictions(ROWS, value)
    told.send("ready")
    for day in DAYS:
        write(sink, table, day)


def hold(told: Pipe, sink: Connection) -> None:
    """Hold the table's lock until the process ends."""
    with writer(sink) as opened:
        opened.lock(TABLE)
        told.send("ready")
        time.sleep(600)
