"""Fill the demo's sources: the rentals table in Postgres, and what the weather API serves."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import psycopg

from deploy.demo_data.bike_file import read_bike_file
from deploy.demo_data.simulator import FIRST_DAY, simulate
from deploy.demo_data.sources import RENTALS, RENTALS_TABLE, DemoData, Loaded, yesterday
from deploy.demo_data.weather_api import WEATHER_FILE
from deploy.embedded import postgres
from deploy.embedded.home import Home, write_atomically
from deploy.embedded.nights import PIPELINE, are_next, nights
from deploy.embedded.stack import Stack
from evergreen.environment import load_environment
from evergreen.storage import Storage

Say = Callable[[str], None]

_COPY = f"COPY rentals ({', '.join(RENTALS)}) FROM STDIN (FORMAT csv)"


def load(stack: Stack, data: Path | None, say: Say = print) -> Loaded:
    """Replace the sources' content by a file's, or by simulated history from 2011-01-01 to yesterday.

    The table is replaced in one transaction. Raises `StackError` if PostgreSQL does not run, `DataError` if
    the file cannot be used.
    """
    began = time.monotonic()
    content = simulate(FIRST_DAY, yesterday()) if data is None else read_bike_file(data)
    hours = content.rentals["rented_at"]
    loaded = Loaded("simulated" if data is None else "file", hours.min().date(), hours.max().date())
    with postgres.connect(stack.ports, stack.secrets) as connection:
        connection.execute(RENTALS_TABLE)
        # TRUNCATE would show an empty table to a night that is reading it.
        connection.execute("DELETE FROM rentals")
        copy_rentals(connection, content)
    _leave_weather(stack.home.source, content if data is not None else None)
    remember(stack.home, loaded)
    say(
        f"Loaded {len(content.rentals):,} rows of {data or 'simulated history'} into the table rentals: "
        f"{loaded.first} to {loaded.last}, in {time.monotonic() - began:.1f} s"
    )
    _schedule(stack.home, loaded, say)
    return loaded


def copy_rentals(connection: psycopg.Connection[tuple[object, ...]], content: DemoData) -> None:
    """Add the rentals to the table, in the connection's transaction."""
    text = io.StringIO()
    content.rentals.to_csv(text, index=False, header=False)
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.write(text.getvalue())


def _schedule(home: Home, loaded: Loaded, say: Say) -> None:
    """Let the clock start the pipeline's nights if the next one follows what is published."""
    newest = _newest_published()
    if are_next(newest, loaded):
        nights(home).go_on()
        return
    nights(home).hold()
    say(
        f"The clock starts no night of {PIPELINE}: the next would be of yesterday, and "
        f"{f'{newest} is the newest day' if newest else 'no day is'} published"
    )


def _newest_published() -> date | None:
    from evergreen.lake import Lake

    load_environment()
    keys = Lake(Storage.open(), PIPELINE).partitions()
    return date.fromisoformat(max(keys)) if keys else None


def _leave_weather(folder: Path, content: DemoData | None) -> None:
    file = folder / WEATHER_FILE
    if content is None:
        file.unlink(missing_ok=True)
        return
    draft = folder / f".{WEATHER_FILE}"
    content.weather.to_parquet(draft, index=False)
    draft.replace(file)


def remember(home: Home, loaded: Loaded) -> None:
    """Record which data the sources hold."""
    write_atomically(home.source / "loaded.json", loaded.as_json())
