"""Reading ahead: a thread makes the next items while the current one is used."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import closing
from queue import Empty, Full, Queue
from typing import Any, TypeVar

import pyarrow as pa

from evergreen.rows.batches import Rows

DEPTH = 4  # batches that are read ahead at most
_PATIENCE = 0.1  # seconds between checks whether the items are still wanted

_T = TypeVar("_T")


class LateError(Exception):
    """There is no time left for the next item, or for the thread to end."""


def ahead(rows: Rows) -> Rows:
    """The same rows, read by a separate thread. An error of the source is raised where it occurred."""
    return Rows(rows.schema, made_ahead(lambda: _closed(rows), DEPTH), rows.rejected)


def made_ahead(
    items: Callable[[], Generator[_T, None, None]], depth: int, left: Callable[[], float] | None = None
) -> Generator[_T, None, None]:
    """The items, of which a thread makes at most `depth` in advance; the thread also closes them.

    `left` says how many seconds are left: then `LateError` is raised when there are none, also while it is
    closed, and the thread is left to itself. It does not keep the interpreter from exiting.
    """
    queue: Queue[tuple[Any, BaseException | None, bool]] = Queue(depth)
    abandoned = threading.Event()

    def put(item: Any, error: BaseException | None = None, is_last: bool = False) -> bool:
        while not abandoned.is_set():
            try:
                queue.put((item, error, is_last), timeout=_PATIENCE)
            except Full:
                continue
            return True
        return False

    def make() -> None:
        try:
            with closing(items()) as made:
                for item in made:
                    if not put(item):
                        return
            put(None, is_last=True)
        except BaseException as error:  # noqa: BLE001 - raised again where the items are used
            put(None, error)

    maker = threading.Thread(target=make, name="evergreen-ahead", daemon=True)
    maker.start()
    try:
        while True:
            try:
                item, error, is_last = queue.get(timeout=left and left())
            except Empty:
                raise LateError from None
            if error is not None:
                raise error
            if is_last:
                return
            yield item
    finally:
        abandoned.set()
        maker.join(left and left())
        if maker.is_alive():
            raise LateError


def _closed(rows: Rows) -> Generator[pa.RecordBatch, None, None]:
    try:
        yield from rows
    finally:
        rows.close()
