"""Tables of a lake as sources, as `pipeline.yaml` describes them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from evergreen.sources.event_time import ComposedTime
from evergreen.sources.files.address import Address
from evergreen.sources.kind import SourceConfig
from evergreen.units import Column, ConnectionId

_PARTITION = re.compile(r"\{partition(:[^{}]*)?\}")


def _checked_place(path: str) -> str:
    if re.search(r"[{}\0]", _PARTITION.sub("", path)):
        raise ValueError("braces may contain only '{partition}' and forms of it like '{partition:%Y/%m/%d}'")
    address = Address.of(path)
    if address.scheme and (address.scheme != "s3" or not address.root or not address.path.strip("/")):
        raise ValueError("write a path on disk, or s3://bucket/path")
    return path


TablePath = Annotated[str, Field(min_length=1), AfterValidator(_checked_place)]
"""Where a table is: below the pipeline's folder, absolute, or `s3://bucket/path`."""


def _checked_name(name: str) -> str:
    if not re.fullmatch(r"[^.\0]+(\.[^.\0]+)+", name):
        raise ValueError("write a table with its namespace, like shop.events")
    return name


TableName = Annotated[str, AfterValidator(_checked_name)]
"""A table of a catalog: `namespace.table`."""


class TableSource(SourceConfig):
    """Rows of a table whose `time_column` lies in the partition; all of its rows where none is named.

    `columns` are those that are read, by default all of them.
    """

    columns: tuple[Column, ...] | None = None

    @property
    def whole(self) -> bool:
        """Whether the table cannot be asked for a partition, because it has only the parts of its time."""
        return isinstance(self.time_column, ComposedTime) and not self.asks_by_partition


class DeltaSource(TableSource):
    """A Delta table, the newest version or `version`.

    `{partition}` in `path` is the partition's key, so that the whole table is the partition. The keys of S3
    are the storage's, or those of the connection `conn_id`.
    """

    path: TablePath
    version: Annotated[int, Field(ge=0)] | None = None
    conn_id: ConnectionId | None = None

    @model_validator(mode="after")
    def _connection_used(self) -> Self:
        if self.conn_id and not Address.of(self.path).scheme:
            raise ValueError("a table on disk needs no connection: leave out 'conn_id'")
        return self

    def templates(self) -> Iterable[str]:
        """The path."""
        return (self.path,)


class IcebergSource(TableSource):
    """An Iceberg table: `table` of the catalog that the connection `conn_id` describes, or a metadata file.

    It is read as of its newest snapshot or `snapshot_id`. With `path` the keys of S3 are the storage's, or
    those of `conn_id`; `{partition}` in it is the partition's key.
    """

    conn_id: ConnectionId | None = None
    table: TableName | None = None
    path: TablePath | None = None
    snapshot_id: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _table_or_path(self) -> Self:
        if (self.table is None) == (self.path is None):
            raise ValueError("give either 'table' or 'path'")
        if self.table and not self.conn_id:
            raise ValueError("a table needs 'conn_id', the connection that describes its catalog")
        if self.path and self.conn_id and not Address.of(self.path).scheme:
            raise ValueError("a table on disk needs no connection: leave out 'conn_id'")
        return self

    def templates(self) -> Iterable[str]:
        """The path, or nothing."""
        return (self.path,) if self.path else ()
