"""The lake of one pipeline: Delta tables whose partitions are replaced as a whole, in one atomic commit."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from evergreen.delta_errors import DENIED, OUT_OF_REACH, last_cause, plain
from evergreen.errors import IntegrityError, NotFoundError, RefusedError, StorageError, UnavailableError
from evergreen.lake_check import Present, damage
from evergreen.open_tables import OpenTables
from evergreen.rows.partition_file import (
    PartitionFile,
    count_values,
    file_of,
    footer_size,
    read_bounds,
    read_columns,
    read_record,
)
from evergreen.small_objects import SmallObjects
from evergreen.table_options import AFTER_A_COMMIT, OF_A_NEW_TABLE
from evergreen.together import together

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset

    from evergreen.storage import Storage

_T = TypeVar("_T")
PARTITION = "partition"
_WRITERS = 8  # files that are written at the same time
BATCH = 131_072
FOOTER = 32 * 1024  # bytes; a longer footer takes a second request

_KEY = re.compile(r"[A-Za-z0-9_.-]+")  # it is part of a path


class Table(StrEnum):
    """The tables of a pipeline's lake; each has the column `partition` and is partitioned by it."""

    PARTITIONS = "partitions"
    QUARANTINE = "quarantine"
    PREDICTIONS = "predictions"
    MONITORING = "monitoring"
    LABELS = "labels"


class Lake:
    """The Delta tables below `<prefix>/<pipeline>/lake/`.

    Each call sees the newest version of its table, or within `steady` the one that was seen first.
    """

    def __init__(self, storage: Storage, pipeline: str) -> None:
        self._storage = storage
        self._pipeline = pipeline
        self._tables = OpenTables(storage, pipeline)
        # A file is named by its rows, so what was read of one holds as long as a table names it.
        self._small = SmallObjects(storage)

    def steady(self) -> AbstractContextManager[None]:
        """Within it, and in this thread, all calls see the same version of a table: for reading only."""
        return self._tables.steady()

    def replace(
        self, table: Table, contents: Mapping[str, pa.Table], schema: pa.Schema | None = None
    ) -> list[str]:
        """Replace each partition (the key) with its table in `contents`.

        As `commit` does; a table without rows empties its partition. The rows do not have the column
        `partition`. `schema` is the table's schema afterwards, by default the one it has. Raises
        `RefusedError`, and changes nothing, if columns or types of the rows differ from it.
        """
        if not contents:
            return []
        schema = schema or self.schema(table) or next(iter(contents.values())).schema
        files: dict[str, PartitionFile | None] = {}
        for key, rows in contents.items():
            self._check_schema(table, schema, rows.schema)
            files[key] = file_of(rows.select(schema.names)) if rows.num_rows else None
        return self.commit(table, files, schema)

    def commit(self, table: Table, files: Mapping[str, PartitionFile | None], schema: pa.Schema) -> list[str]:
        """Replace each partition (the key) with its file; None empties the partition.

        All in one atomic commit; returns the partitions that changed. Unchanged content makes no new version
        of the table. `schema` (without `partition`) is the table's schema afterwards: a new column is null in
        earlier partitions. Where several writers replace a partition at the same moment, all succeed in turn,
        and the content of the last one stays.
        """
        if not files:
            return []
        if strange := [key for key in files if not _KEY.fullmatch(key)]:
            raise ValueError(f"'{strange[0]}' is not a partition's key: letters, digits, '_', '.' and '-'")
        changed: set[str] = set()
        self._commit(table, files, schema.append(pa.field(PARTITION, pa.string())), changed)
        return [key for key in files if key in changed]

    def schema(self, table: Table, version: int | None = None) -> pa.Schema | None:
        """The table's columns and types, at a version, without `partition`; None if there is no table yet."""
        try:
            with self._errors(table):
                found = pa.schema(self._tables.at(table, version).schema().to_arrow())
        except NotFoundError:
            return None
        return found.remove(found.get_field_index(PARTITION))

    def files(self, table: Table) -> dict[str, str]:
        """The name of each partition's file, by key; it identifies the partition's rows."""
        try:
            with self._errors(table):
                present = self._tables.files(table)
        except NotFoundError:
            return {}
        return {key: " ".join(file.path for file in files) for key, files in sorted(present.items())}

    def bounds(self, column: str) -> list[int]:
        """Smallest and largest values of a column of whole numbers in each published partition that has some.

        Reads the files' footers, not their rows.
        """
        found = self._from_footers(self.partitions(), lambda tail: read_bounds(tail, column))
        return [bound for bounds in found.values() for bound in bounds]

    def records(self, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The record of each published partition, by key; a partition without a record is left out.

        Reads the files' footers, not their rows.
        """
        found = self._from_footers(keys, read_record)
        return {key: record for key, record in sorted(found.items()) if record}

    def values(self, partition: str, columns: Sequence[str] | None = None) -> int:
        """How many values a published partition has, in `columns` or in all; 0 if it is not published.

        Reads its file's footer.
        """
        return self._from_footers([partition], lambda tail: count_values(tail, columns)).get(partition, 0)

    def read(
        self,
        table: Table,
        first: str | None = None,
        last: str | None = None,
        version: int | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Rows of the partitions from `first` to `last` (both included; None: open), by partition.

        `version` reads the table as it was then, `columns` only these. A table that does not exist yet raises
        `NotFoundError`.
        """
        with self._errors(table):
            found = self._between(table, first, last, version)
            rows = found.to_table(columns=None if columns is None else [*columns])
        return rows.sort_by(PARTITION)

    def batches(
        self, table: Table, first: str, last: str, version: int, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The same rows, in no order, of which memory holds a few batches of at most `BATCH` rows."""
        with self._errors(table):
            found = self._between(table, first, last, version)
            sizes = {"batch_size": BATCH, "batch_readahead": 2, "fragment_readahead": 1}
            yield from found.to_batches(None if columns is None else [*columns], **sizes)

    def single(self, table: Table, keys: Iterable[str], columns: Sequence[str]) -> list[pa.Table]:
        """Of each of these partitions that has rows, its columns that are among `columns`; by key.

        Files are read whole, and the last ones are kept: a few partitions of small files take a fraction of
        the time of `read`.
        """
        found = self._from_files(table, keys, lambda at: read_columns(self._small.read(at), columns)).items()
        return [rows.append_column(PARTITION, pa.repeat(key, len(rows))) for key, rows in sorted(found)]

    def holding(self, keys: pa.Table, partitions: Iterable[str]) -> set[str]:
        """Those of the published partitions in which a row has the values of a row of `keys`.

        `keys` has columns of the table `partitions`, in its types. A null is equal to nothing. Only these
        columns are read, of one partition after another.
        """
        names, found = keys.schema.names, set[str]()
        with self._errors(Table.PARTITIONS):
            opened = self._tables.now(Table.PARTITIONS)
            for key in partitions:
                # By the keys themselves it must not be filtered: of a table that has bounds of some columns
                # deltalake leaves out the files that have none of the column.
                dataset = opened.to_pyarrow_dataset(file_pruning_predicate=[(PARTITION, "=", key)])
                rows = dataset.to_table(columns=names)
                if rows.join(keys, names, join_type="left semi").num_rows:
                    found.add(key)
        return found

    def find(self, table: Table, first: str | None = None, last: str | None = None) -> pa.Table | None:
        """The same; None where the table does not exist yet, or has no rows there."""
        try:
            rows = self.read(table, first, last)
        except NotFoundError:
            return None
        return rows if len(rows) else None

    def partitions(self, table: Table = Table.PARTITIONS) -> list[str]:
        """Keys of the partitions that hold rows, sorted; none if the table does not exist yet."""
        try:
            with self._errors(table):
                return sorted(self._tables.files(table))
        except NotFoundError:
            return []

    def problems(self) -> list[str]:
        """What is missing or damaged of the present tables, a line each; see `lake_check.damage`."""
        return [line for table in Table for line in damage(self._storage, self._pipeline, table)]

    def version(self, table: Table) -> int:
        """The table's present version; raises `NotFoundError` if it does not exist yet."""
        with self._errors(table):
            return int(self._tables.now(table).version())

    def _from_footers(self, keys: Iterable[str], read: Callable[[bytes], _T]) -> dict[str, _T]:
        """What `read` finds in the end of each published partition's file, which has the whole footer."""

        def found(path: str) -> _T:
            tail = self._storage.tail(path, FOOTER)
            if (needed := footer_size(tail)) > len(tail):
                tail = self._storage.tail(path, needed)
            return read(tail)

        return self._from_files(Table.PARTITIONS, keys, found)

    def _from_files(self, table: Table, keys: Iterable[str], read: Callable[[str], _T]) -> dict[str, _T]:
        """What `read` finds in the file, by its place in the storage, of each of the partitions."""
        wanted, folder = set(keys), f"{self._pipeline}/lake/{table}"
        try:
            with self._errors(table):
                present = self._tables.files(table)
        except NotFoundError:
            return {}
        files = {key: f"{folder}/{old[0].path}" for key, old in present.items() if key in wanted}
        try:
            with self._errors(table):
                return dict(zip(files, together(read, files.values()), strict=True))
        except NotFoundError as error:
            # A run may replace a file while it is read: then nothing is missing of the new table.
            lost = damage(self._storage, self._pipeline, table)
            raise IntegrityError(lost[0]) if lost else UnavailableError(f"{error}: run again") from None

    def _opened(self, table: Table) -> DeltaTable | None:
        try:
            return self._tables.now(table)
        except TableNotFoundError:
            return None

    def _created(self, table: Table, schema: pa.Schema) -> DeltaTable:
        # The table is created empty first, so that two first writers find the same table.
        created = DeltaTable.create(
            self._tables.uri(table),
            schema,
            mode="ignore",
            partition_by=[PARTITION],
            configuration=OF_A_NEW_TABLE,
            storage_options=self._storage.delta_options,
        )
        return self._tables.keep(table, created)

    def _between(self, table: Table, first: str | None, last: str | None, version: int | None) -> Dataset:
        # Files are chosen by the log: a dataset of all of them would take longer with every partition.
        bounds = [(PARTITION, sign, key) for sign, key in ((">=", first), ("<=", last)) if key is not None]
        return self._tables.at(table, version).to_pyarrow_dataset(file_pruning_predicate=bounds or None)

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
                "fix the source, or give the pipeline a new name for a new shape"
            )

    # Writers of other partitions may commit at the same moment; the loser's commit is tried again.
    @retry(
        retry=retry_if_exception_type(CommitFailedError),
        wait=wait_random_exponential(multiplier=0.05, max=2),
        stop=stop_after_attempt(20),
        reraise=True,
    )
    def _commit(
        self, table: Table, files: Mapping[str, PartitionFile | None], schema: pa.Schema, changed: set[str]
    ) -> None:
        with self._errors(table):
            found = self._opened(table)
            if found is None and not any(files.values()):
                return  # no table is needed to hold nothing
            target = found or self._created(table, schema)
            present = self._tables.present(table, target)
        differing = [key for key, file in files.items() if not _holds(present.get(key, []), key, file)]
        self._upload(
            table,
            {key: file for key in files.keys() - differing if (file := self._lost(table, key, files[key]))},
        )
        if not differing:
            return
        additions = {key: file for key in differing if (file := files[key])}
        self._upload(table, {key: file for key, file in additions.items() if key not in changed})
        changed.update(differing)
        # To Delta, two first writers of a partition are no conflict; two transactions of the same name are.
        names = [Transaction(key, target.version() + 1) for key in differing]
        actions = [_addition(key, file) for key, file in additions.items()]
        same_columns = pa.schema(target.schema().to_arrow()).equals(schema)
        if same_columns:
            # Files are named one by one: an overwrite would conflict with every other writer of the table.
            actions += [_removal(old) for key in differing for old in present.get(key, ())]
        with self._errors(table):
            target.create_write_transaction(
                actions,
                "append" if same_columns else "overwrite",
                schema,
                [PARTITION],
                None if same_columns else [(PARTITION, "in", differing)],
                commit_properties=CommitProperties(app_transactions=names),
                post_commithook_properties=AFTER_A_COMMIT,
            )

    def _lost(self, table: Table, key: str, file: PartitionFile | None) -> PartitionFile | None:
        """The file, if it is in the table's log but not in the storage in its size."""
        if file is None:
            return None
        found = self._storage.look(f"{self._pipeline}/lake/{table}/{file.path(key)}")
        return None if [there.size for there in found] == [file.size] else file

    def _upload(self, table: Table, files: Mapping[str, PartitionFile]) -> None:
        def put(key: str) -> None:
            there = f"{self._pipeline}/lake/{table}/{files[key].path(key)}"
            if (body := files[key].body) is not None:
                self._storage.upload(there, body)
            elif (staged := files[key].staged) is not None:
                self._storage.copy(staged, there, files[key].size)

        together(put, files, _WRITERS)

    @contextmanager
    def _errors(self, table: Table) -> Iterator[None]:
        where = f"{self._pipeline}: lake table '{table}'"
        try:
            yield
        except TableNotFoundError:
            raise NotFoundError(f"{where} does not exist yet: ingest a partition first") from None
        except CommitFailedError:
            raise
        except (DeltaError, OSError, pa.ArrowException) as error:
            text = plain(error)
            if "NoSuchBucket" in text:
                raise StorageError(
                    f"bucket '{self._storage.bucket}' does not exist: create it or change EVERGREEN_STORAGE"
                ) from None
            if denied := DENIED.search(text):
                raise StorageError(
                    f"{where}: access denied ({denied[0]}): check the AWS_* keys of the storage"
                ) from None
            lost = None if OUT_OF_REACH.search(text) else damage(self._storage, self._pipeline, table)
            if lost:
                raise IntegrityError(lost[0]) from None
            raise UnavailableError(
                f"{where} cannot be used ({last_cause(text)}): check the storage, then run again"
            ) from error


def _holds(present: Sequence[Present], key: str, file: PartitionFile | None) -> bool:
    return [old.path for old in present] == ([file.path(key)] if file else [])


def _removal(file: Present) -> RemoveAction:
    # The time matters only to a vacuum, which keeps what was removed recently.
    return RemoveAction(file.path, True, int(time.time() * 1000), file.size, {PARTITION: file.partition})


def _addition(key: str, file: PartitionFile) -> AddAction:
    # The file's name identifies its content, so its time is not needed; 0 keeps commits reproducible. Columns
    # have no statistics: files are chosen by partition, and who opens a table reads what is told of each one.
    # (With bounds of some columns only, deltalake's dataset for pyarrow leaves out files by all the others.)
    told = json.dumps({"numRecords": file.rows})
    return AddAction(file.path(key), file.size, {PARTITION: key}, 0, True, told)
