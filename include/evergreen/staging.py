"""The files that tasks of one run pass on to one another: objects below `<pipeline>/staging/<run>/`.

Nothing here is published: objects are overwritten without a condition, by a retry too, and deleted by the
run's last task.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from evergreen.errors import IntegrityError, NotFoundError, one_line
from evergreen.rows.batches import Rejected, Rows
from evergreen.rows.partition_file import RECORD, PartitionFile, PartitionWriter

if TYPE_CHECKING:
    from evergreen.storage import Storage

_RUN = re.compile(r"[a-z0-9_-]+")


class Staging:
    """The staging folder of one run of a pipeline.

    `run` is a short token of the characters `a-z0-9_-`, unique to one DAG run or one shell command; raises
    `ValueError` for another form.
    """

    def __init__(self, storage: Storage, pipeline: str, run: str) -> None:
        if not _RUN.fullmatch(run):
            raise ValueError(f"run '{run}': only the letters a-z, 0-9, '_' and '-'")
        self._storage = storage
        self._pipeline = pipeline
        self._run = run

    def write_table(self, name: str, rows: pa.Table) -> None:
        """Store a table under `name`, replacing an earlier one."""
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink, compression="zstd")
        self.write_bytes(name, sink.getvalue().to_pybytes())

    def read_table(self, name: str) -> pa.Table:
        """The table stored under `name`; raises `NotFoundError`, or `IntegrityError` if it is not a table."""
        try:
            return pq.read_table(pa.BufferReader(self.read_bytes(name)))
        except pa.ArrowInvalid as error:
            raise self._damaged(name, error) from None

    def write_rows(self, name: str, rows: Rows) -> int:
        """Store rows under `name` while they are read, replacing earlier ones; returns their number."""
        writer = PartitionWriter(rows.schema)
        try:
            for batch in rows:
                writer.write(batch)
            rejected = [asdict(one) for one in rows.rejected]
            return self.write_file(name, writer.finish({"rejected": rejected})).rows
        finally:
            writer.discard()
            rows.close()

    def read_rows(self, name: str) -> Rows:
        """The rows stored under `name`; raises `NotFoundError`, or `IntegrityError` if they are damaged."""
        body = tempfile.TemporaryFile(prefix="evergreen-")  # noqa: SIM115 - the batches hold it
        try:
            self._storage.download(self.key(name), body)
            parquet = pq.ParquetFile(body)
        except NotFoundError:
            raise self._missing(name) from None
        except (pa.ArrowInvalid, OSError) as error:
            raise self._damaged(name, error) from None
        record = json.loads((parquet.metadata.metadata or {}).get(RECORD, b"{}"))
        rejected = [Rejected(**one) for one in record.get("rejected", [])]
        return Rows(parquet.schema_arrow, _batches(body, parquet), rejected)

    def write_file(self, name: str, file: PartitionFile) -> PartitionFile:
        """Store a partition's file under `name`; returns the stored file."""
        assert file.body is not None
        self._storage.upload(self.key(name), file.body)
        return replace(file, body=None, staged=self.key(name))

    def write_json(self, name: str, value: Any) -> None:
        """Store a JSON value under `name`, replacing an earlier one. NaN is not JSON: `ValueError`."""
        self.write_bytes(name, json.dumps(value, allow_nan=False).encode())

    def read_json(self, name: str) -> Any:
        """The value stored under `name`; raises `NotFoundError`, or `IntegrityError` if it is not JSON."""
        try:
            return json.loads(self.read_bytes(name))
        except ValueError as error:
            raise self._damaged(name, error) from None

    def write_bytes(self, name: str, body: bytes) -> None:
        """Store bytes under `name`, replacing earlier ones."""
        self._storage.stage(self.key(name), body)

    def read_bytes(self, name: str) -> bytes:
        """The bytes stored under `name`; raises `NotFoundError`."""
        try:
            return self._storage.read(self.key(name)).body
        except NotFoundError:
            raise self._missing(name) from None

    def exists(self, name: str) -> bool:
        """Whether an object is stored under `name`."""
        return self._storage.exists(self.key(name))

    def delete(self, names: Iterable[str]) -> None:
        """Delete the objects stored under the names, if any."""
        self._storage.delete(self.key(name) for name in names)

    def clear(self) -> int:
        """Delete all objects of the run; returns their number."""
        return self._storage.delete_all(self.key(""))

    def clear_others(self, folders: Sequence[str]) -> int:
        """Delete what other runs left below folders of these names; returns how many objects there were.

        A run that is still using one of them fails, and says to start again from its first task.
        """
        root = f"{self._pipeline}/staging/"
        wanted = set(folders)
        left = [
            key
            for key in self._storage.list(root)
            if len(parts := key[len(root) :].split("/")) > 2 and parts[0] != self._run and parts[1] in wanted
        ]
        self._storage.delete(left)
        return len(left)

    def key(self, name: str) -> str:
        """The key in the storage of the object stored under `name`."""
        return f"{self._pipeline}/staging/{self._run}/{name}"

    def _missing(self, name: str) -> NotFoundError:
        return NotFoundError(
            f"{self._pipeline}: run '{self._run}' has no staged '{name}': clear the run from its first task"
        )

    def _damaged(self, name: str, error: Exception) -> IntegrityError:
        return IntegrityError(
            f"{self._pipeline}: staged '{name}' of run '{self._run}' cannot be read "
            f"({one_line(error, 120)}): clear the run from its first task"
        )


def _batches(body: IO[bytes], parquet: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    try:
        yield from parquet.iter_batches()
    finally:
        body.close()
