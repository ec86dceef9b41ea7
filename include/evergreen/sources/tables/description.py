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
    """Rows of a table whose `time_column` lies in the partition; all of its rows where none is named."""

    columns: tuple[Column, ...] | None = None
    """The columns that are read; default: all. Example: [rented_at, cnt]"""

    @property
    def whole(self) -> bool:
        """Whether the table cannot be asked for a partition, because it has only the parts of its time."""
        return isinstance(self.time_column, ComposedTime) and not self.asks_by_partition


class DeltaSource(TableSource):
    """A Delta table."""

    path: TablePath
    """Where the table is: below the pipeline's folder, absolute, or `s3://bucket/path`; with the partition's
    key, `{partition}`, in it the whole table is the partition. Example: s3://lake/rentals
    """
    version: Annotated[int, Field(ge=0)] | None = None
    """The version that is read; default: the newest. Example: 7"""
    conn_id: ConnectionId | None = None
    """The connection with the keys of S3; default: the storage's. Example: lake_s3"""

    @model_validator(mode="after")
    def _connection_used(self) -> Self:
        if self.conn_id and not Address.of(self.path).scheme:
            raise ValueError("a table on disk needs no connection: leave out 'conn_id'")
        return self

    def templates(self) -> Iterable[str]:
        """The path."""
        return (self.path,)


class IcebergSource(TableSource):
    """An Iceberg table of a catalog, or by its metadata file."""

    conn_id: ConnectionId | None = None
    """The connection that describes the catalog of `table`, or has the keys of S3 for `path`; default: the
    storage's. Example: lake_catalog
    """
    table: TableName | None = None
    """The table with its namespace. Example: shop.events"""
    path: TablePath | None = None
    """The metadata file, in which `{partition}` is the partition's key. Example:
    s3://lake/events/metadata/v3.metadata.json
    """
    snapshot_id: Annotated[int, Field(ge=0)] | None = None
    """The snapshot that is read; default: the newest. Example: 7"""

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
