"""Runs the HTTP server: the threads that follow champions, its connections, and a graceful end."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from evergreen.errors import one_line
from evergreen.interpreter import prepare
from evergreen.pipeline import Pipeline
from evergreen.serving.app import make_app
from evergreen.serving.entrance import Entrance
from evergreen.serving.follow import Follower
from evergreen.serving.limits import Turns
from evergreen.serving.listening import Settings
from evergreen.serving.log_writer import LogWriter
from evergreen.serving.meters import Meters
from evergreen.serving.service import Serving
from evergreen.serving.shadow import Shadowing
from evergreen.serving.told import Pipelines
from evergreen.serving.worker import Worker, covers

_log = logging.getLogger(__name__)

Alert = Callable[[Sequence[Pipelines]], None]
"""Tells receivers what is new in what each worker serves."""

_MOST_HEADERS = 64 * 1024
"""Bytes of a request's headers."""

_SHORT = 0.05
"""Seconds between two looks at what the other workers can answer."""


class Server:
    """Answers for pipelines where `listener` listens, from `run` until `stop`, SIGTERM or SIGINT.

    `worker` is what it is among the servers that share the listener; None where there is one alone. One of
    them calls `alert` after every look with what all of them serve.
    """

    def __init__(
        self,
        pipelines: Sequence[Pipeline],
        settings: Settings,
        listener: socket.socket,
        worker: Worker | None = None,
        alert: Alert | None = None,
    ) -> None:
        self._settings, self._listener, self._worker, self._alert = settings, listener, worker, alert
        meters = Meters(self._told_by_all)
        turn = worker.turn if worker else nullcontext
        self._followers = {
            pipeline.name: Follower(pipeline, turn, partial(meters.count_failed, pipeline.name))
            for pipeline in pipelines
        }
        writer = LogWriter(meters.count_logged, settings.log)
        self._serving = Serving(
            self._followers,
            settings.limits,
            settings.patience,
            meters,
            Turns(settings.limits),
            writer,
            Shadowing(writer, meters),
            self._told_by_all,
        )
        entrance = Entrance(make_app(self._serving), settings.token, self._serving.count)
        self._server = uvicorn.Server(_config(entrance, settings))

    def run(self) -> None:
        """Follow the champions and answer; requests that are open at the end are still answered."""
        try:
            with (
                _writing(self._serving, self._settings.ending),
                self._following(),
                self._alerting(),
                self._ended_by_signals(),
            ):
                self._wait_for_its_time()
                prepare()
                self._server.run(sockets=[self._listener])
        finally:
            self._listener.close()

    def stop(self) -> None:
        """End `run`, which may be in another thread."""
        self._server.should_exit = True

    def _wait_for_its_time(self) -> None:
        """Take no connections yet where another worker can answer more."""
        if (worker := self._worker) is None:
            return
        while not self._server.should_exit and not self._may_answer(worker):
            time.sleep(_SHORT)
        worker.answers = True
        self._tell()

    def _may_answer(self, worker: Worker) -> bool:
        return worker.first or (self._has_looked and covers(self._told, worker.others()))

    @property
    def _has_looked(self) -> bool:
        return all(follower.has_looked for follower in self._followers.values())

    @property
    def _told(self) -> Pipelines:
        return {name: follower.told for name, follower in self._followers.items()}

    def _told_by_all(self) -> list[Pipelines]:
        return [self._told, *(self._worker.others() if self._worker else ())]

    def _tell(self) -> None:
        if self._worker is not None:
            self._worker.tell(self._told, has_looked=self._has_looked)

    @contextmanager
    def _following(self) -> Iterator[None]:
        threads = [
            threading.Thread(
                target=follower.follow,
                args=(self._settings.every, self._tell),
                name=f"follow {name}",
                daemon=True,
            )
            for name, follower in self._followers.items()
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            for follower in self._followers.values():
                follower.stop()

    @contextmanager
    def _alerting(self) -> Iterator[None]:
        if (alert := self._alert) is None:
            yield
            return
        ended = threading.Event()
        watch = self._worker.watch if self._worker else nullcontext

        def run() -> None:
            with watch():
                while not ended.wait(self._settings.every):
                    try:
                        alert(self._told_by_all())
                    except Exception as error:  # noqa: BLE001 - whatever it is, the next look tries again
                        _log.warning("alerts could not be sent: %s", one_line(error))

        threading.Thread(target=run, name="alerts", daemon=True).start()
        try:
            yield
        finally:
            ended.set()

    @contextmanager
    def _ended_by_signals(self) -> Iterator[None]:
        """The server's signals end it and nothing else; it raises them once more for who listened before."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {one: signal.signal(one, lambda *_: self.stop()) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for one, listening in before.items():
                signal.signal(one, listening)


@contextmanager
def _writing(serving: Serving, ending: float) -> Iterator[None]:
    """Ask the shadows, and write to the logs of requests.

    At the end what was answered is written, within `ending` seconds.
    """
    thread = threading.Thread(target=serving.writer.run, name="log of requests", daemon=True)
    thread.start()
    threading.Thread(target=serving.shadowing.run, name="shadows", daemon=True).start()
    try:
        yield
    finally:
        serving.turns.close()
        serving.shadowing.stop()
        serving.writer.stop()
        thread.join(ending)


def _config(entrance: Entrance, settings: Settings) -> uvicorn.Config:
    class Patient(_Impatient):
        seconds = settings.limits.sending

    return uvicorn.Config(
        entrance,
        http=Patient,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=round(settings.ending),
    )


class _Impatient(HttpToolsProtocol):
    """Ends a connection whose headers do not come in time, or are too many."""

    seconds = 10.0
    _waiting: asyncio.TimerHandle | None = None
    _size = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._waited()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._size = 0
        self._wait()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._size += len(name) + len(value)
        if self._size > _MOST_HEADERS:
            self.transport.abort()
        else:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._waited()
        if not self.transport.is_closing():
            super().on_headers_complete()

    def _wait(self) -> None:
        self._waited()
        self._waiting = self.loop.call_later(self.seconds, self.transport.abort)

    def _waited(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
