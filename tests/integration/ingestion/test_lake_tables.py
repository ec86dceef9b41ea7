"""Tables of a lake in a real S3: the storage's keys, those of a connection, and what it refuses."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from evergreen.calendar import Calendar, Grain
from evergreen.connections import Connection
from evergreen.errors import SourceError, UnavailableError
from evergreen.sources import KINDS, Source, Wanted
from evergreen.storage import Credentials, Storage

ROWS = pa.table({"at": pa.array([datetime(2024, 1, day, tzinfo=UTC) for day in (1, 2)]), "n": [1, 2]})
SECOND = [{"at": datetime(2024, 1, 2, tzinfo=UTC), "n": 2}]
ELSEWHERE = Storage("none", "", Credentials(endpoint_url="http://127.0.0.1:9"))


def connection(storage: Storage, **extra: str) -> Connection:
    keys = storage.credentials
    own = {"endpoint_url": keys.endpoint_url, **extra}
    return Connection("keys", "aws", login=keys.access_key, password="s3cret-key", extra=own)


def rows(said: dict[str, object], storage: Storage, connection: Connection | None = None) -> list[object]:
    def connect(conn_id: str) -> Connection:
        assert connection is not None
        assert conn_id == connection.conn_id
        return connection

    source = Source.model_validate({"delta": said})
    wanted = Wanted("2024-01-02", Calendar(Grain("daily")), Path("/nowhere"), storage, connect)
    found: list[object] = KINDS["delta"].read(source.config, wanted).table().to_pylist()
    return found


@pytest.fixture
def lake(new_storage) -> Storage:
    """A bucket with a Delta table at `events`."""
    storage = new_storage()
    write_deltalake(storage.uri("events"), ROWS, storage_options=storage.delta_options)
    return storage


def test_a_table_is_read_with_the_keys_of_the_storage(lake: Storage):
    assert rows({"path": lake.uri("events"), "time_column": "at"}, lake.child("below")) == SECOND


def test_a_table_is_read_with_the_keys_of_a_connection(lake: Storage, monkeypatch: pytest.MonkeyPatch):
    said = {"path": lake.uri("events"), "time_column": "at", "conn_id": "keys"}
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert rows(said, ELSEWHERE, connection(lake)) == SECOND


def test_what_is_not_there_and_who_is_not_there_are_one_line(lake: Storage):
    said = {"time_column": "at", "conn_id": "keys"}
    for path, says in (
        (lake.uri("nothing"), "there is no Delta table s3://"),
        ("s3://no-such-bucket/events", "its bucket does not exist: create it or change the source's path"),
    ):
        with pytest.raises(SourceError, match=says) as refusal:
            rows({**said, "path": path}, ELSEWHERE, connection(lake))
        assert "\n" not in str(refusal.value)
    nobody = replace(connection(lake), extra={"endpoint_url": "http://127.0.0.1:9"})
    begun = time.monotonic()
    with pytest.raises(UnavailableError, match=r"cannot be read now .*: check the store") as refusal:
        rows({**said, "path": lake.uri("events")}, ELSEWHERE, nobody)
    assert "s3cret" not in str(refusal.value)
    assert time.monotonic() - begun < 60
