"""Reading ahead: the source reads its next batches while the current one is being written."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import Empty, Full, Queue
from typing import Any

import pyarrow as pa

from evergreen.rows.batches import Rows

DEPTH = 4  # batches that are read ahead at most
_PATIENCE = 0.1  # seconds between checks whether the reader is still there


def ahead(rows: Rows) -> Rows:
    """The same rows, read by a separate thread. An error of the source is raised where it occurred."""
    return Rows(rows.schema, _batches(rows), rows.rejected)


def _batches(rows: Rows) -> Iterator[pa.RecordBatch]:
    queue: Queue[Any] = Queue(DEPTH)
    abandoned = threading.Event()

    def put(item: Any) -> bool:
        while not abandoned.is_set():
            try:
                queue.put(item, timeout=_PATIENCE)
            except Full:
                continue
            return True
        return False

    def read() -> None:
        try:
            for batch in rows:
                if not put(batch):
                    break
            put(None)
        except BaseException as error:  # noqa: BLE001 - raised again where the rows are read
            put(error)
        finally:
            rows.close()

    reader = threading.Thread(target=read, name="evergreen-ahead", daemon=True)
    reader.start()
    try:
        while (item := queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        abandoned.set()
        while reader.is_alive():
            try:
                queue.get(timeout=_PATIENCE)
            except Empty:
                continue
        reader.join()
