"""Arrow batches of different schemas, one after another in a temporary file without a name."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

import pyarrow as pa

from evergreen.errors import UnavailableError

_BUFFER = 2**20  # Arrow writes a batch in many small pieces


class Spill:
    """Batches are appended, then read back in their order, one in memory at a time.

    The file has no name, so a process that is killed leaves nothing behind. A full disk raises
    `UnavailableError`.
    """

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(buffering=_BUFFER)  # noqa: SIM115 - lives as long as the spill
        self._writer: pa.RecordBatchStreamWriter | None = None
        self._schema: pa.Schema | None = None
        self._taken = 0
        self._torn = False

    @property
    def untaken(self) -> int:
        """How many bytes were written since the last `take`."""
        return self._file.tell() - self._taken

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch; one of another schema than the last begins another Arrow stream in the file."""
        if self._writer is None or batch.schema != self._schema:
            self._end_stream()
            with self._writing():
                self._writer, self._schema = pa.ipc.new_stream(self._file, batch.schema), batch.schema
        with self._writing():
            self._writer.write_batch(batch)

    def take(self) -> bytes:
        """What was written since the last call, for `restore`; refused after a write that failed."""
        if self._torn:
            raise UnavailableError("the temporary file is truncated: run again")
        self._end_stream()
        self._flush()
        end = self._file.tell()
        self._file.seek(self._taken)
        part = self._file.read(end - self._taken)
        self._taken = end
        return part

    def restore(self, part: bytes) -> None:
        """Append what another spill's `take` returned."""
        self._end_stream()
        with self._writing():
            self._file.write(part)
        self._taken = self._file.tell()

    def absorb(self, other: Spill) -> None:
        """Append all batches of another spill, which is closed; what `take` gives does not have them."""
        self._end_stream()
        other._end_stream()
        other._flush()
        other._file.seek(0)
        with self._writing():
            shutil.copyfileobj(other._file, self._file, _BUFFER)
        self._taken = self._file.tell()
        other.close()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        self._end_stream()
        self._flush()
        end = self._file.seek(0, os.SEEK_END)
        self._file.seek(0)
        while self._file.tell() < end:
            yield from pa.ipc.open_stream(self._file)

    def close(self) -> None:
        """Free the disk space."""
        self._writer = None
        with suppress(OSError):  # what does not fit on the disk is not needed any more
            self._file.close()

    def _end_stream(self) -> None:
        if self._writer is not None:
            with self._writing():
                self._writer.close()
        self._writer = self._schema = None

    def _flush(self) -> None:
        with self._writing():
            self._file.flush()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._torn = True
            raise UnavailableError(
                f"the temporary folder {tempfile.gettempdir()} cannot be written ({error.strerror}): make "
                "room there, then run again"
            ) from None
