"""Tables of a lake in a real S3: the storage's keys, those of a connection, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from pyiceberg.catalog.sql import SqlCatalog

from evergreen.calendar import Calendar, Grain
from evergreen.connections import Connection
from evergreen.errors import SourceError, UnavailableError
from evergreen.sources import KINDS, Source, Wanted
from evergreen.sources.tables.place import Keys
from evergreen.storage import Credentials, Storage
from tests.campaign import rounds, seed
from tests.faults.s3_proxy import Fault, Plan, S3Proxy
from tests.http_peers import Said, serving

ROWS = pa.table({"at": pa.array([datetime(2024, 1, day, tzinfo=UTC) for day in (1, 2)]), "n": [1, 2]})
SECOND = [{"at": datetime(2024, 1, 2, tzinfo=UTC), "n": 2}]
NOBODY = "http://127.0.0.1:9"
ELSEWHERE = Storage("none", "", Credentials(endpoint_url=NOBODY, access_key="a", secret_key="b"))


@dataclass(frozen=True)
class Lake:
    """A bucket with a table in it, and the description of its source by its path."""

    kind: str
    storage: Storage
    path: str

    def keys(self, **extra: Any) -> Connection:
        """A connection to the bucket."""
        own = {"endpoint_url": self.storage.credentials.endpoint_url, **extra}
        return Connection("keys", "aws", login="test", password="s3cret-key", extra=own)

    def rows(self, said: dict[str, Any], storage: Storage, *connections: Connection) -> list[Any]:
        """The rows of the second of January."""
        known = {connection.conn_id: connection for connection in connections}
        source = Source.model_validate({self.kind: {"time_column": "at", **said}})
        wanted = Wanted("2024-01-02", Calendar(Grain("daily")), Path("/nowhere"), storage, known.__getitem__)
        found: list[Any] = KINDS[self.kind].read(source.config, wanted).table().to_pylist()
        return found


@pytest.fixture(params=["delta", "iceberg"])
def lake(request: pytest.FixtureRequest, new_storage: Callable[[], Storage], tmp_path: Path) -> Lake:
    storage = new_storage()
    if request.param == "delta":
        write_deltalake(storage.uri("events"), ROWS, storage_options=storage.delta_options)
        return Lake("delta", storage, storage.uri("events"))
    options = Keys(storage.credentials).iceberg_options
    address = {"uri": f"sqlite:///{tmp_path}/catalog.db", "warehouse": storage.uri("lake")}
    catalog = SqlCatalog("lake", **address, **options)
    catalog.create_namespace("shop")
    table = catalog.create_table("shop.events", ROWS.schema)
    table.append(ROWS)
    return Lake("iceberg", storage, table.metadata_location)


def test_a_table_is_read_with_the_keys_of_the_storage(lake: Lake):
    assert lake.rows({"path": lake.path}, lake.storage.child("below")) == SECOND


def test_a_table_is_read_with_the_keys_of_a_connection(lake: Lake, monkeypatch: pytest.MonkeyPatch):
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.setenv(name, NOBODY)
    assert lake.rows({"path": lake.path, "conn_id": "keys"}, ELSEWHERE, lake.keys()) == SECOND
    anonymous = replace(lake.keys(anonymous=True), login=None, password=None)
    assert lake.rows({"path": lake.path, "conn_id": "keys"}, ELSEWHERE, anonymous) == SECOND


@pytest.mark.parametrize("lake", ["iceberg"], indirect=True)
def test_a_table_of_a_catalog_is_read_with_the_keys_of_the_storage_or_the_catalogs_own(
    lake: Lake, tmp_path: Path
):
    said = {"conn_id": "catalog", "table": "shop.events"}
    extra = {"uri": f"sqlite:///{tmp_path}/catalog.db", "catalog_name": "lake"}
    assert lake.rows(said, lake.storage, Connection("catalog", "iceberg", extra=extra)) == SECOND
    keys = Keys(lake.storage.credentials).iceberg_options
    assert lake.rows(said, ELSEWHERE, Connection("catalog", "iceberg", extra={**extra, **keys})) == SECOND


def test_what_is_not_there_is_one_line(lake: Lake):
    bucket = f"s3://{lake.storage.bucket}"
    for there, says in (
        (f"{bucket}/nothing", "there is no Delta table s3://.* that can|has no metadata there"),
        ("s3://no-such-bucket", "its bucket does not exist|has no metadata there"),
    ):
        said = {"path": lake.path.replace(bucket, there), "conn_id": "keys"}
        with pytest.raises(SourceError, match=says) as refusal:
            lake.rows(said, ELSEWHERE, lake.keys())
        assert "\n" not in str(refusal.value)


def test_a_store_that_is_not_there_or_refuses_is_one_line_without_secrets(lake: Lake):
    said = {"path": lake.path, "conn_id": "keys"}
    with pytest.raises(UnavailableError, match=r"cannot be read now .*: check ") as refusal:
        lake.rows(said, ELSEWHERE, lake.keys(endpoint_url=NOBODY))
    assert "s3cret" not in str(refusal.value)
    body = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
    with serving(lambda asked: Said(403, body)) as peer:
        with pytest.raises(SourceError, match=r"access denied .*: check the keys of its conn") as refusal:
            lake.rows(said, ELSEWHERE, lake.keys(endpoint_url=peer.address()))
        assert "s3cret" not in str(refusal.value)
        assert "\n" not in str(refusal.value)


def test_a_store_that_stumbles_gives_all_rows_or_says_so(lake: Lake, tell: Callable[[str], None]):
    """Errors, resets and truncated answers at random calls: never fewer rows, and a retry may help."""
    said = {"path": lake.path, "conn_id": "keys"}
    weights = {fault: 1 for fault in Fault if "silence" not in fault}
    whole, unavailable = 0, 0
    with S3Proxy(str(lake.storage.credentials.endpoint_url)) as proxy:
        for number in range(rounds(6, 100)):
            proxy.plan = Plan(seed(number), share=0.25, weights=weights)
            try:
                assert lake.rows(said, ELSEWHERE, lake.keys(endpoint_url=proxy.address)) == SECOND
                whole += 1
            except UnavailableError:
                unavailable += 1
        tell(
            f"{lake.kind}: {sum(proxy.counts().values())} faults, {whole} whole reads, {unavailable} refused"
        )
        assert proxy.counts()
