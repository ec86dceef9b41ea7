"""Tables that tests write, and read as a source of each kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake
from pyiceberg.catalog.sql import SqlCatalog

from evergreen.calendar import Calendar, Grain
from evergreen.connections import Connection
from evergreen.rows.batches import Rows
from evergreen.sources import KINDS, Source, Wanted
from evergreen.storage import Credentials, Storage

NOWHERE = Storage("none", "", Credentials())


class Written:
    """A table of a kind in a folder, and its source."""

    kind = "delta"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.place: dict[str, Any] = {"path": "events"}

    def append(self, rows: pa.Table) -> None:
        """Add rows in files of their own; the first ones make the table."""
        write_deltalake(self.folder / "events", rows, mode="append")

    def connection(self, conn_id: str) -> Connection:
        """The connections that the source may name."""
        raise AssertionError(conn_id)

    def wanted(self, key: str, grain: str = "daily", timezone: str = "UTC") -> Wanted:
        """The request for a partition."""
        return Wanted(key, Calendar(Grain(grain), timezone), self.folder, NOWHERE, self.connection)

    def read(self, key: str = "snapshot", grain: str = "daily", timezone: str = "UTC", **said: Any) -> Rows:
        """The source's rows for a partition."""
        grain = "snapshot" if key == "snapshot" else grain
        source = Source.model_validate({self.kind: {**self.place, **said}})
        return KINDS[self.kind].read(source.config, self.wanted(key, grain, timezone))

    def rows(self, *args: Any, **said: Any) -> list[dict[str, Any]]:
        """The same as dictionaries; nothing may be rejected."""
        found = self.read(*args, **said)
        rows: list[dict[str, Any]] = found.table().to_pylist()
        assert found.rejected == []
        return rows


class WrittenIceberg(Written):
    """An Iceberg table of a SQL catalog in the folder, and its source."""

    kind = "iceberg"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.conn_id = "catalog"
        self.place = {"conn_id": self.conn_id, "table": "shop.events"}
        self.options = {"uri": f"sqlite:///{folder}/catalog.db", "warehouse": f"file://{folder}"}
        self.catalog = SqlCatalog("lake", **self.options)
        self.catalog.create_namespace("shop")

    def append(self, rows: pa.Table) -> None:
        self.catalog.create_table_if_not_exists("shop.events", rows.schema).append(rows)

    def connection(self, conn_id: str) -> Connection:
        assert conn_id == self.conn_id
        return Connection(conn_id, "iceberg", extra={**self.options, "catalog_name": "lake"})
