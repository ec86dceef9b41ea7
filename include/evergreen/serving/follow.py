"""Follows a pipeline's champion: what `champion.json` names is loaded, checked, and then answers.

A new version is held to its golden sample in another process, so that requests are answered meanwhile. Only
then does it take the place of the one before, by one assignment: a request that has begun keeps the version
it began with. A version that fails its check stays out, and the one before answers on.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import pyarrow as pa

from evergreen.errors import EvergreenError, NotFoundError, one_line
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.registry.event_log import POINTER
from evergreen.scoring.afresh import load_checked_afresh
from evergreen.serving.served import Served

_log = logging.getLogger(__name__)

_PATIENCE = 300.0
"""Seconds between two attempts to load a version that has failed often."""


class Condition(StrEnum):
    """Whether a pipeline is served, and how up to date its version is."""

    CURRENT = "current"
    """The champion answers."""
    BEHIND = "behind"
    """A version answers that was champion before: the present one is being loaded, or failed its check."""
    STALE = "stale"
    """A version answers, and nobody knows whether it is still the champion: the storage is out of reach."""
    NOT_LOADED = "not loaded"
    """Nothing answers."""


@dataclass(frozen=True)
class State:
    """What is served of a pipeline: all that a request or a probe needs, changed by one assignment.

    `champion` is the version that the pointer named last, also one that could not be loaded: then `problem`
    says why. `seen` is when the storage was read last and `loaded` when the version began to answer, both in
    seconds of the monotonic clock.
    """

    served: Served | None = field(default=None, repr=False)
    champion: str | None = None
    problem: str = ""
    failed: int = 0
    seen: float = float("-inf")
    loaded: float = float("-inf")

    @property
    def is_current(self) -> bool:
        """Whether the champion answers."""
        return self.served is not None and self.served.version == self.champion

    def condition(self, patience: float) -> Condition:
        """How up to date the answers are, where the storage may be silent for `patience` seconds."""
        if self.served is None:
            return Condition.NOT_LOADED
        # The pointer is not read while another version is loaded.
        if not self.is_current:
            return Condition.BEHIND
        return Condition.STALE if time.monotonic() - self.seen > patience else Condition.CURRENT


class Follower:
    """Keeps `state` up to date with a pipeline's champion; one thread calls `look`, others read `state`."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.state = State()
        self._etag = ""
        self._attempts = 0
        self._again = float("-inf")
        self._stopped = threading.Event()

    def follow(self, every: float) -> None:
        """Look every so many seconds until `stop` is called."""
        while not self._stopped.is_set():
            self.look()
            self._stopped.wait(every)

    def stop(self) -> None:
        """End `follow` after what it is doing."""
        self._stopped.set()

    def look(self) -> None:
        """Read the pointer, and load what it names if that has changed. Raises nothing: `state` says it."""
        try:
            is_new = self._read_pointer()
            schema = self.pipeline.lake.schema(Table.PARTITIONS)
        except EvergreenError as error:
            self._change(problem=one_line(error))
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, the version before answers on
            self._change(problem=f"unexpected {type(error).__name__}: {one_line(error)}")
            return
        if is_new:
            self._attempts, self._again = 0, float("-inf")
        self._load(schema)
        self._refresh()

    def _refresh(self) -> None:
        """Take in what was published; where that fails, what is in memory answers on."""
        if (served := self.state.served) is None:
            return
        try:
            served.look_back.refresh()
        except Exception as error:  # noqa: BLE001 - whatever it is, the window before answers on
            self._change(problem=f"its look-back is not up to date: {one_line(error)}")

    def _read_pointer(self) -> bool:
        """Whether the pointer has changed; then `state` has the champion that it names."""
        storage = self.pipeline.storage.child(self.pipeline.name)
        try:
            found = storage.read_unless(POINTER, self._etag) if self._etag else storage.read(POINTER)
        except NotFoundError:
            self._etag = ""
            self._change(champion=None, seen=time.monotonic())
            return False
        if found is None:
            self._change(seen=time.monotonic())
            return False
        champion = self.pipeline.registry.champion()
        # Last, so that a read that failed is made again.
        self._etag = found.etag
        self._change(champion=champion, seen=time.monotonic())
        return True

    def _load(self, schema: pa.Schema | None) -> None:
        """Put the champion in the place of what is served, if it is another one and may be used."""
        champion, served = self.state.champion, self.state.served
        if champion is None or schema is None:
            self._change(
                problem="there is no champion yet" if champion is None else "nothing is published yet"
            )
            return
        if served is not None and served.version == champion and served.published == schema:
            self._change(problem="")
            return
        if time.monotonic() < self._again:
            return
        try:
            model = load_checked_afresh(self.pipeline, champion)
            made = Served.of(model, schema)
            # Before it answers; if it fails, `_refresh` says so, and requests that need it.
            with suppress(EvergreenError):
                made.look_back.refresh()
        except Exception as error:  # noqa: BLE001 - features and estimators may raise anything
            self._put_off(champion, error)
            return
        self._attempts = 0
        self._change(served=made, problem="", loaded=time.monotonic())
        _log.info("%s: version %s answers", self.pipeline.name, champion)

    def _put_off(self, champion: str, error: Exception) -> None:
        self._attempts += 1
        self._again = time.monotonic() + min(_PATIENCE, 2.0**self._attempts)
        why = (
            one_line(error)
            if isinstance(error, EvergreenError)
            else f"{type(error).__name__}: {one_line(error)}"
        )
        served = self.state.served
        on = f"{served.version} answers on" if served else "nothing answers"
        _log.error("%s: champion %s is not served, %s: %s", self.pipeline.name, champion, on, why)
        self._change(problem=why, failed=self.state.failed + 1)

    def _change(self, **changes: Any) -> None:
        self.state = replace(self.state, **changes)
