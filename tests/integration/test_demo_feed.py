"""The feed of the demo's containers, against a real PostgreSQL."""

from __future__ import annotations

from datetime import date, timedelta
from urllib.parse import quote

import psycopg

from deploy.demo_data.feed import append_missing
from deploy.demo_data.simulator import FIRST_DAY, simulate
from deploy.demo_data.sources import RENTALS
from evergreen.connections import Connection


def test_the_feed_appends_the_days_that_are_missing_and_no_others(postgres_server: Connection):
    it = postgres_server
    password = quote(it.password or "")
    address = f"postgresql://{it.login}:{password}@{it.host}:{it.port}/{it.schema}"
    last: date = FIRST_DAY + timedelta(days=4)
    assert append_missing(address, last - timedelta(days=2)) == 3 * 24
    assert append_missing(address, last - timedelta(days=2)) == 0
    assert append_missing(address, last) == 2 * 24
    with psycopg.connect(address) as session:
        found = session.execute(f"SELECT {', '.join(RENTALS)} FROM rentals ORDER BY rented_at").fetchall()
    expected = simulate(FIRST_DAY, last).rentals
    assert [list(row) for row in found] == expected[list(RENTALS)].astype(object).to_numpy().tolist()
