"""Keeps the simulated source up to yesterday, so that a stack left running has real nights."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg

from deploy.demo_data.sources import Loaded, yesterday
from deploy.embedded import postgres
from deploy.embedded.errors import StackError
from deploy.embedded.home import Home
from deploy.embedded.stack import Stack


def feed_once(stack: Stack) -> int:
    """Append the simulated days that have ended since the last load; returns how many rows that were.

    None where a file is loaded, or nothing. Imports what it needs only when there is something to do: the
    service waits for most of its life.
    """
    loaded = Loaded.read(stack.home.source)
    if loaded is None or loaded.kind != "simulated" or loaded.last >= yesterday():
        return 0
    from deploy.demo_data.simulator import simulate
    from deploy.embedded.load import copy_rentals, remember

    content = simulate(loaded.last + timedelta(days=1), yesterday())
    with postgres.connect(stack.ports, stack.secrets) as connection:
        first_hour = content.rentals["rented_at"].min()
        connection.execute("DELETE FROM rentals WHERE rented_at >= %s", (first_hour,))
        copy_rentals(connection, content)
    remember(stack.home, replace(loaded, last=yesterday()))
    return len(content.rentals)


def feed(home: Home, pause: float = 300.0) -> None:
    """Append what is missing every `pause` seconds, for ever; a failure is logged and tried again."""
    stack = Stack.of(home)
    while True:
        try:
            message = f"appended {rows} rows" if (rows := feed_once(stack)) else ""
        except (StackError, psycopg.Error) as error:
            message = str(error)
        if message:
            print(f"{datetime.now(tz=UTC).isoformat(timespec='seconds')} {message}", flush=True)
        time.sleep(pause)
