"""What the tasks of one run hand to one another: objects below `<pipeline>/staging/<run>/`.

Nothing here is published: it is written unconditionally, written again by a retry, and cleared by the
run's last task.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from evergreen.errors import IntegrityError, NotFoundError

if TYPE_CHECKING:
    from evergreen.storage import Storage

_RUN = re.compile(r"[a-z0-9_-]+")


class Staging:
    """The staging folder of one run of a pipeline.

    `run` is a short token of the letters `a-z0-9_-`, unique to one DAG run or one shell command; another
    form raises `ValueError`.
    """

    def __init__(self, storage: Storage, pipeline: str, run: str) -> None:
        if not _RUN.fullmatch(run):
            raise ValueError(f"run '{run}': only the letters a-z, 0-9, '_' and '-'")
        self._storage = storage
        self._pipeline = pipeline
        self._run = run

    def write_table(self, name: str, rows: pa.Table) -> None:
        """Keep a table under `name`, in place of an earlier one."""
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink, compression="zstd")
        self.write_bytes(name, sink.getvalue().to_pybytes())

    def read_table(self, name: str) -> pa.Table:
        """The table kept under `name`; raises `NotFoundError`, or `IntegrityError` if it is not a table."""
        try:
            return pq.read_table(pa.BufferReader(self.read_bytes(name)))
        except pa.ArrowInvalid as error:
            raise self._damaged(name, error) from None

    def write_json(self, name: str, value: Any) -> None:
        """Keep a JSON value under `name`, in place of an earlier one. NaN is not JSON: `ValueError`."""
        self.write_bytes(name, json.dumps(value, allow_nan=False).encode())

    def read_json(self, name: str) -> Any:
        """The value kept under `name`; raises `NotFoundError`, or `IntegrityError` if it is not JSON."""
        try:
            return json.loads(self.read_bytes(name))
        except ValueError as error:
            raise self._damaged(name, error) from None

    def write_bytes(self, name: str, body: bytes) -> None:
        """Keep bytes under `name`, in place of earlier ones."""
        self._storage.stage(self._key(name), body)

    def read_bytes(self, name: str) -> bytes:
        """The bytes kept under `name`; raises `NotFoundError`."""
        try:
            return self._storage.read(self._key(name)).body
        except NotFoundError:
            raise NotFoundError(
                f"{self._pipeline}: run '{self._run}' has no staged '{name}': clear the run from its first "
                "task"
            ) from None

    def exists(self, name: str) -> bool:
        """Whether something is kept under `name`."""
        return self._storage.exists(self._key(name))

    def clear(self) -> int:
        """Delete all that the run kept; returns how many objects there were."""
        return self._storage.delete_all(self._key(""))

    def _key(self, name: str) -> str:
        return f"{self._pipeline}/staging/{self._run}/{name}"

    def _damaged(self, name: str, error: Exception) -> IntegrityError:
        return IntegrityError(
            f"{self._pipeline}: staged '{name}' of run '{self._run}' cannot be read "
            f"({' '.join(str(error).split())[:120]}): clear the run from its first task"
        )
