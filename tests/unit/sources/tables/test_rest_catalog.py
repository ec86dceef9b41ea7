"""Iceberg tables of a REST catalog: a server that answers as its specification says, from a real table."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from evergreen.connections import Connection
from evergreen.errors import SourceError, UnavailableError
from evergreen.sources.tables import iceberg
from tests.http_peers import Asked, Peer, Said, serving
from tests.unit.sources.tables.written import WrittenIceberg

SECRET = "planted-secret-91c2"


@pytest.fixture
def events(tmp_path: Path) -> WrittenIceberg:
    written = WrittenIceberg(tmp_path)
    written.append(pa.table({"n": [1, 2]}))
    return written


def answers(events: WrittenIceberg) -> Any:
    """A catalog that gives a token for the client's secret, and its tables to who has the token."""

    def answer(asked: Asked) -> Said:
        path = asked.path.partition("?")[0]
        if path == "/v1/oauth/tokens":
            told = {"access_token": SECRET, "token_type": "bearer", "expires_in": 3600}
            return said(told) if f"client_secret={SECRET}" in asked.body.decode() else failure(401, "OAuth")
        if asked.headers.get("authorization") != f"Bearer {SECRET}":
            return failure(401, "NotAuthorized")
        if path == "/v1/config":
            return said({"defaults": {}, "overrides": {}})
        if path == "/v1/namespaces/shop/tables":
            return said({"identifiers": [{"namespace": ["shop"], "name": "events"}]})
        if path != "/v1/namespaces/shop/tables/events":
            return failure(404, "NoSuchTableException")
        there = events.catalog.load_table("shop.events").metadata_location
        metadata = json.loads(Path(there.removeprefix("file://")).read_text())
        return said({"metadata-location": there, "metadata": metadata, "config": {}})

    return answer


def said(told: dict[str, Any], status: int = 200) -> Said:
    return Said(status, json.dumps(told).encode(), {"Content-Type": "application/json"})


def failure(status: int, kind: str) -> Said:
    return said({"error": {"message": f"{kind} of {SECRET}", "type": kind, "code": status}}, status)


def connected(events: WrittenIceberg, peer: Peer, **values: Any) -> None:
    connection = Connection("catalog", "iceberg", host=peer.address(), **values)
    events.connection = lambda _: connection  # type: ignore[method-assign]


def test_a_table_is_read_with_a_token_or_with_a_clients_secret(events: WrittenIceberg):
    for login in (None, "client"):
        with serving(answers(events)) as peer:
            connected(events, peer, login=login, password=SECRET)
            assert events.rows() == [{"n": 1}, {"n": 2}]
            assert any(asked.path.startswith("/v1/oauth") for asked in peer.asked) == bool(login)


def test_what_the_catalog_does_not_have_or_refuses_is_one_line(events: WrittenIceberg):
    cases = [
        (None, SECRET, "shop.event", SourceError, r"no Iceberg table shop.event \(nearest: shop.events\)"),
        (None, "wrong", "shop.events", SourceError, "access denied"),
        ("client", "wrong", "shop.events", SourceError, "access denied"),
    ]
    with serving(answers(events)) as peer:
        for login, password, table, kind, says in cases:
            connected(events, peer, login=login, password=password)
            with pytest.raises(kind, match=says) as refusal:
                events.read(table=table)
            assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (403, SourceError, "access denied"),
        (429, UnavailableError, "cannot be read now"),
        (500, UnavailableError, "cannot be read now"),
        (503, UnavailableError, "cannot be read now"),
    ],
)
def test_a_catalog_that_fails_is_one_line_without_secrets(
    events: WrittenIceberg, status: int, kind: Any, says: str
):
    with serving(lambda asked: failure(status, "Failure")) as peer:
        connected(events, peer, password=SECRET)
        with pytest.raises(kind, match=says) as refusal:
            events.read()
    assert SECRET not in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_catalog_that_does_not_answer_is_left(events: WrittenIceberg, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(iceberg, "CATALOG_TIMEOUT", timedelta(seconds=0.2))
    done = threading.Event()

    def silent(_: Asked) -> Said:
        done.wait(60)
        return failure(500, "Late")

    with serving(silent) as peer:
        connected(events, peer, password=SECRET)
        with pytest.raises(UnavailableError, match=r"'catalog' does not answer within 0\.2 seconds"):
            events.read()
        done.set()


def test_an_answer_that_is_no_catalogs_is_one_line(events: WrittenIceberg):
    with serving(lambda asked: Said(200, b"<html>", {"Content-Type": "text/html"})) as peer:
        connected(events, peer, password=SECRET)
        with pytest.raises((SourceError, UnavailableError), match=r"Iceberg table shop.events") as refusal:
            events.read()
    assert "\n" not in str(refusal.value)
