"""The lake of one pipeline: Delta tables whose partitions are replaced as a whole, in one atomic commit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from evergreen.errors import NotFoundError, RefusedError, StorageError, UnavailableError

if TYPE_CHECKING:
    from evergreen.storage import Storage

PARTITION = "partition"

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_DENIED = re.compile(r"AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch")


class Table(StrEnum):
    """The tables of a pipeline's lake; each has the column `partition` and is partitioned by it."""

    PARTITIONS = "partitions"
    QUARANTINE = "quarantine"
    PREDICTIONS = "predictions"
    MONITORING = "monitoring"


class Lake:
    """The Delta tables below `<prefix>/<pipeline>/lake/`."""

    def __init__(self, storage: Storage, pipeline: str) -> None:
        self._storage = storage
        self._pipeline = pipeline

    def replace(self, table: Table, contents: Mapping[str, pa.Table]) -> list[str]:
        """Make each table of `contents` the whole content of the partition that is its key.

        All of them in one atomic commit; returns the partitions that changed. Unchanged content makes no
        new version of the table. No rows empty a partition. The rows have any columns but `partition`,
        which is added. Raises `RefusedError`, and changes nothing, if columns or types differ from the
        table's.
        """
        keyed = {key: _with_partition(rows, key) for key, rows in contents.items()}
        if not keyed:
            return []
        present = self._present(table, keyed)
        changed = {key: rows for key, rows in keyed.items() if not _same(rows, present.get(key))}
        if changed:
            self._commit(table, changed)
        return list(changed)

    def read(
        self, table: Table, first: str | None = None, last: str | None = None, version: int | None = None
    ) -> pa.Table:
        """Rows of the partitions from `first` to `last` (both included; None: open), by partition.

        `version` reads the table as it was then. A table that does not exist yet raises `NotFoundError`.
        """
        condition = None
        for bound, compare in ((first, pc.greater_equal), (last, pc.less_equal)):
            if bound is not None:
                part = compare(ds.field(PARTITION), bound)
                condition = part if condition is None else condition & part
        with self._errors(table):
            rows = self._open(table, version).to_pyarrow_dataset().to_table(filter=condition)
        return rows.sort_by(PARTITION)

    def partitions(self, table: Table = Table.PARTITIONS) -> list[str]:
        """Keys of the partitions that hold rows, sorted; none if the table does not exist yet."""
        try:
            with self._errors(table):
                found = self._open(table).partitions()
        except NotFoundError:
            return []
        return sorted({entry[PARTITION] for entry in found})

    def version(self, table: Table) -> int:
        """The table's present version; raises `NotFoundError` if it does not exist yet."""
        with self._errors(table):
            return int(self._open(table).version())

    def _open(self, table: Table, version: int | None = None) -> DeltaTable:
        return DeltaTable(self._uri(table), version=version, storage_options=self._storage.delta_options)

    def _uri(self, table: Table) -> str:
        return self._storage.uri(f"{self._pipeline}/lake/{table}")

    def _present(self, table: Table, keyed: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
        try:
            rows = self.read(table, min(keyed), max(keyed))
        except NotFoundError:
            return {}
        self._check_schema(table, rows.schema, next(iter(keyed.values())).schema)
        keys = rows.column(PARTITION)
        return {key: rows.filter(pc.equal(keys, key)) for key in keyed}

    def _check_schema(self, table: Table, published: pa.Schema, offered: pa.Schema) -> None:
        problems = [f"column '{name}' is new" for name in offered.names if name not in published.names]
        problems += [f"column '{name}' is missing" for name in published.names if name not in offered.names]
        problems += [
            f"column '{field.name}' was {published.field(field.name).type} and is {field.type}"
            for field in offered
            if field.name in published.names and published.field(field.name).type != field.type
        ]
        if problems:
            raise RefusedError(
                f"{self._pipeline}: lake table '{table}': {'; '.join(problems)}; nothing was published: "
                "mend the source, or give the pipeline a new name for a new shape"
            )

    # Writers of other partitions may commit at the same moment; the loser's commit is tried again.
    @retry(
        retry=retry_if_exception_type(CommitFailedError),
        wait=wait_random_exponential(multiplier=0.05, max=2),
        stop=stop_after_attempt(12),
        reraise=True,
    )
    def _commit(self, table: Table, contents: Mapping[str, pa.Table]) -> None:
        rows = pa.concat_tables(contents.values())
        keys = ", ".join(f"'{_quoted(key)}'" for key in contents)
        with self._errors(table):
            # Created empty first: an overwrite that creates would let two first writers undo one another.
            target = DeltaTable.create(
                self._uri(table),
                rows.schema,
                mode="ignore",
                partition_by=[PARTITION],
                storage_options=self._storage.delta_options,
            )
            write_deltalake(target, rows, mode="overwrite", predicate=f"{PARTITION} IN ({keys})")

    @contextmanager
    def _errors(self, table: Table) -> Iterator[None]:
        where = f"{self._pipeline}: lake table '{table}'"
        try:
            yield
        except TableNotFoundError:
            raise NotFoundError(f"{where} does not exist yet: ingest a partition first") from None
        except CommitFailedError:
            raise
        except (DeltaError, OSError) as error:
            text = _plain(error)
            if "NoSuchBucket" in text:
                raise StorageError(
                    f"bucket '{self._storage.bucket}' does not exist: create it or change EVERGREEN_STORAGE"
                ) from None
            if denied := _DENIED.search(text):
                raise StorageError(
                    f"{where}: access denied ({denied[0]}): check the AWS_* keys of the storage"
                ) from None
            raise UnavailableError(
                f"{where} cannot be used ({_last_cause(text)}): check the storage, then run again"
            ) from error


def _with_partition(rows: pa.Table, key: str) -> pa.Table:
    if PARTITION in rows.column_names:
        rows = rows.drop_columns([PARTITION])
    return rows.append_column(PARTITION, pa.array([key] * len(rows), pa.string()))


def _same(rows: pa.Table, present: pa.Table | None) -> bool:
    if present is None:
        return not len(rows)
    return bool(present.select(rows.column_names).equals(rows))


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def _plain(error: Exception) -> str:
    """The message in one line, without the colours that delta-rs puts into it."""
    return " ".join(_COLOUR.sub("", str(error)).split())


def _last_cause(text: str) -> str:
    # delta-rs tells a failure from the outside in; the cause comes last, before the server's own document.
    cause = text.rpartition("↳")[2]
    return cause.partition("<?xml")[0].strip()[:200]
