"""Time limits for sessions whose database has none of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from queue import Queue
from typing import Any, TypeVar

from evergreen.databases.errors import TimedOutError
from evergreen.rows.ahead import LateError, made_ahead

_T = TypeVar("_T")
_AHEAD = 2


class Deadline:
    """The moment after which a session is over."""

    def __init__(self, limit: timedelta) -> None:
        self._end = time.monotonic() + limit.total_seconds()

    @property
    def left(self) -> float:
        """Seconds left, 0 if there are none."""
        return max(0.0, self._end - time.monotonic())

    def check(self) -> None:
        """Raise `TimedOutError` if it has passed."""
        if not self.left:
            raise TimedOutError

    @contextmanager
    def cancelling(self, cancel: Callable[[], None]) -> Iterator[None]:
        """Call `cancel` from another thread if the deadline passes, and raise `TimedOutError`."""
        self.check()
        timer = threading.Timer(self.left, cancel)
        timer.daemon = True
        timer.start()
        try:
            yield
        except Exception:
            self.check()
            raise
        finally:
            timer.cancel()
        self.check()

    def abandoning(self, step: Callable[[], _T]) -> _T:
        """The result of `step`; raises `TimedOutError` at the deadline and leaves it to its own thread.

        For drivers that cannot be cancelled, or not while they connect. The thread does not keep the
        interpreter from exiting.
        """
        self.check()
        results: Queue[tuple[bool, Any]] = Queue()

        def run() -> None:
            try:
                results.put((True, step()))
            except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
                results.put((False, error))

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(self.left)
        if thread.is_alive():
            raise TimedOutError
        done, result = results.get()
        if done:
            found: _T = result
            return found
        raise result

    def ahead(self, items: Callable[[], Generator[_T, None, None]]) -> Iterator[_T]:
        """The items, of which the next ones are made by a thread while one is used.

        Raises `TimedOutError` at the deadline, also while it is closed, and leaves the thread to itself.
        """
        try:
            yield from made_ahead(items, _AHEAD, lambda: self.left)
        except LateError:
            raise TimedOutError from None
