"""Items computed by the workers of a Dask scheduler, as futures.

Dask computes again what a lost worker had begun, but it does not always end what hangs then, and data that
was sent to a worker is gone with it. So what was lost is submitted again from here, with the task sent anew.
"""

from __future__ import annotations

import logging
import pickle
import threading
import time
from contextlib import suppress
from typing import Any

from evergreen.compute.elsewhere import call_here, called, code, forget
from evergreen.compute.steps import Told
from evergreen.compute.task import LostError, Outcome, Task
from evergreen.errors import NotInstalledError, UnavailableError, one_line

CONNECT = 10.0  # seconds
ALONE = 60.0  # seconds without any worker
_LOOK = 5.0  # seconds between two looks at whether there are workers


class Dask:
    """The workers of the scheduler at an address, such as `tcp://host:8786`."""

    at_once = 256  # more wait here, and not in the scheduler

    def __init__(self, task: Task, address: str) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise NotInstalledError(
                "EVERGREEN_COMPUTE: Dask is not installed here: pip install -r requirements-dask.txt"
            ) from None
        logging.getLogger("distributed").setLevel(logging.ERROR)
        self._address, self._task = address, task
        try:
            self._client = Client(address, timeout=CONNECT, set_as_default=False)
        except (OSError, TimeoutError) as error:
            said = one_line(error) or "time out"
            raise UnavailableError(
                f"EVERGREEN_COMPUTE: no Dask scheduler answers at {address} ({said}): start it, or name "
                "another"
            ) from None
        self._lock = threading.Lock()
        self._sent: Any = None

    def call(self, item: Any, seconds: float, told: Told) -> Outcome:
        """What comes of an item on whichever worker takes it."""
        sent = self._there()
        try:
            future = self._client.submit(
                call_here,
                sent,
                self._task.name,
                pickle.dumps(item, pickle.HIGHEST_PROTOCOL),
                seconds,
                code(),
                pure=False,
            )
            return called(self._awaited(future), told)
        except LostError:
            self._send_again(sent)
            raise
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            # KilledWorker, a cancelled future (no `Exception`), a broken connection: all say the same.
            self._send_again(sent)
            raise LostError(one_line(error) or type(error).__name__) from None

    def _awaited(self, future: Any) -> Any:
        alone_since = None
        while True:
            with suppress(TimeoutError):
                return future.result(timeout=_LOOK)
            if self._client.nthreads():
                alone_since = None
                continue
            alone_since = alone_since or time.monotonic()
            if time.monotonic() - alone_since > ALONE:
                future.cancel()
                raise LostError(f"{self._address} has no worker")

    def _there(self) -> Any:
        """The task as data that workers have."""
        with self._lock:
            if self._sent is None:
                try:
                    self._client.wait_for_workers(1, timeout=ALONE)
                    self._sent = self._client.scatter(self._task.pickled, broadcast=True, hash=False)
                except (OSError, TimeoutError) as error:
                    raise LostError(f"{self._address} has no worker ({one_line(error)})") from None
            return self._sent

    def _send_again(self, sent: Any) -> None:
        with self._lock:
            if self._sent is sent:
                self._sent = None

    def close(self) -> None:
        """End the task's cells on the workers, and leave the scheduler."""
        with suppress(Exception):
            self._client.run(forget, self._task.name)
        self._client.close(timeout=CONNECT)
