"""Follows a pipeline's champion: what `champion.json` names is loaded, checked, and then answers.

A new version is held to its golden sample in another process, so that requests are answered meanwhile. Only
then does it take the place of the one before, by one assignment: a request that has begun keeps the version
it began with. A version that fails its check stays out, and the one before answers on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from evergreen.errors import EvergreenError, NotFoundError, UnavailableError, one_line
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.registry.event_log import POINTER
from evergreen.registry.history import Canary
from evergreen.serving.canary import ServedCanary
from evergreen.serving.challenger import Challenger, Shadow
from evergreen.serving.loading import Loader, Turn, why_failed
from evergreen.serving.served import Served
from evergreen.serving.told import Told, ToldCanary, ToldShadow

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class State:
    """What is served of a pipeline: all that a request or a probe needs, changed by one assignment.

    `champion` is the version that the pointer named last, also one that could not be loaded: then `problem`
    says why. `beside` is the canary that it named and `canary` the one that takes requests; `beside_problem`
    says why these differ. `out` has those of the two that failed their check, and why. `unread` says that the
    storage could not be read by the last look. `seen` is when it was read last and `loaded` when the version
    began to answer, both in seconds of the monotonic clock.
    """

    served: Served | None = field(default=None, repr=False)
    champion: str | None = None
    problem: str = ""
    canary: ServedCanary | None = field(default=None, repr=False)
    beside: Canary | None = None
    beside_problem: str = ""
    out: Mapping[str, str] = field(default_factory=dict)
    unread: bool = False
    seen: float = float("-inf")
    loaded: float = float("-inf")

    @property
    def is_ready(self) -> bool:
        """Whether a version answers, or there is no champion that could."""
        return self.served is not None or (self.champion is None and self.seen > float("-inf"))

    @property
    def canary_answers(self) -> bool:
        """Whether the canary that was named takes its share."""
        loaded = self.canary
        return loaded is not None and self.beside == Canary(loaded.served.version, loaded.share)

    def told(self, shadow: Shadow) -> Told:
        """The same and the shadow, for probes and Prometheus."""
        served, beside, ends = self.served, self.beside, None
        if served is not None and served.spec.calendar.has_time and (key := served.look_back.newest):
            ends = served.spec.calendar.end(key).timestamp()
        return Told(
            self.is_ready,
            served.version if served else None,
            self.champion,
            self.problem,
            self.seen,
            self.loaded,
            ToldCanary(beside.version, beside.share, self.canary_answers, self.beside_problem)
            if beside
            else None,
            ToldShadow(shadow.version, shadow.served is not None, shadow.problem) if shadow.version else None,
            ends,
            dict(self.out),
            self.unread,
        )


class Follower:
    """Keeps `state` up to date with a pipeline's champion; one thread calls `look`, others read `state`.

    `challenger` follows the version that is its shadow.
    """

    def __init__(
        self, pipeline: Pipeline, turn: Turn = nullcontext, failed: Callable[[], None] = lambda: None
    ) -> None:
        """A version is loaded within a `turn`; `failed` is called when one could not be loaded."""
        self.pipeline = pipeline
        self.state = State()
        self.has_looked = False
        self._etag = ""
        loaders = [Loader(pipeline, turn, failed) for _ in ("champion", "canary", "shadow")]
        self._loader, self._canary_loader = loaders[:2]
        self.challenger = Challenger(pipeline, loaders[2])
        self._stopped = threading.Event()

    def follow(self, every: float, looked: Callable[[], None]) -> None:
        """Look every so many seconds until `stop` is called, and call `looked` each time.

        A look that takes longer, because it loads a version, is followed by the next one at once.
        """
        while not self._stopped.is_set():
            next_look = time.monotonic() + every
            self.look()
            self.has_looked = True
            looked()
            self._stopped.wait(max(0.0, next_look - time.monotonic()))

    @property
    def told(self) -> Told:
        """What is served, for probes and Prometheus."""
        return self.state.told(self.challenger.shadow)

    def stop(self) -> None:
        """End `follow` after what it is doing."""
        self._stopped.set()

    def look(self) -> None:
        """Read the pointer, and load what it names if that has changed. Raises nothing: `state` says it."""
        try:
            is_new = self._read_pointer()
            schema = self.pipeline.lake.schema(Table.PARTITIONS)
        except EvergreenError as error:
            self._change(problem=one_line(error), unread=True)
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, the version before answers on
            self._change(problem=f"unexpected {type(error).__name__}: {one_line(error)}", unread=True)
            return
        self._change(unread=False)
        if is_new:
            self._loader.begin()
            self._canary_loader.begin()
        self._load(schema)
        self._load_canary(schema)
        self.challenger.look(schema, is_new=is_new)
        self._refresh()

    def _refresh(self) -> None:
        """Take in what was published; where that fails, what is in memory answers on."""
        try:
            if (served := self.state.served) is not None:
                served.look_back.refresh()
        except Exception as error:  # noqa: BLE001 - whatever it is, the window before answers on
            self._change(problem=f"its look-back is not up to date: {one_line(error)}")
        try:
            if (canary := self.state.canary) is not None:
                canary.served.look_back.refresh()
        except Exception as error:  # noqa: BLE001 - whatever it is, the window before answers on
            self._change(beside_problem=f"its look-back is not up to date: {one_line(error)}")

    def _read_pointer(self) -> bool:
        """Whether the pointer has changed; then `state` has the champion that it names."""
        storage = self.pipeline.storage.child(self.pipeline.name)
        try:
            found = storage.read_unless(POINTER, self._etag) if self._etag else storage.read(POINTER)
        except NotFoundError:
            self._etag = ""
            self._change(champion=None, beside=None, seen=time.monotonic())
            return False
        if found is None:
            self._change(seen=time.monotonic())
            return False
        force = self.pipeline.registry.force()
        # Last, so that a read that failed is made again.
        self._etag = found.etag
        champion, beside = force.champion(), force.canary
        named = {champion, beside.version if beside else None}
        out = {version: why for version, why in self.state.out.items() if version in named}
        self._change(champion=champion, beside=beside, out=out, seen=time.monotonic())
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
        made = self._beside(champion, schema)
        if made is None:
            try:
                loaded = self._loader.load(champion, schema)
            except Exception as error:  # noqa: BLE001 - features and estimators may raise anything
                on = f"{served.version} answers on" if served else "nothing answers"
                why = self._failed(champion, f"champion {champion} is not served, {on}", error)
                self._change(problem=why)
                return
            if loaded is None:
                return
            made = loaded
        self._change(served=made, problem="", out=self._out_without(champion), loaded=time.monotonic())
        _log.info("%s: version %s answers", self.pipeline.name, champion)

    def _beside(self, version: str, schema: pa.Schema) -> Served | None:
        """The version if it is loaded already, as canary or shadow."""
        canary = self.state.canary
        for served in (canary.served if canary else None, self.challenger.shadow.served):
            if served is not None and served.version == version and served.published == schema:
                return served
        return None

    def _load_canary(self, schema: pa.Schema | None) -> None:
        """Let the canary that the pointer names take its requests; one that fails its check takes none."""
        named, canary = self.state.beside, self.state.canary
        if named is None or schema is None:
            self._change(canary=None, beside_problem="")
            return
        served = canary.served if canary else None
        if served is None or served.version != named.version or served.published != schema:
            self._change(canary=None)
            try:
                served = self._canary_loader.load(named.version, schema)
            except Exception as error:  # noqa: BLE001 - features and estimators may raise anything
                what = f"canary {named.version} takes no requests"
                self._change(beside_problem=self._failed(named.version, what, error))
                return
            if served is None:
                return
            _log.info("%s: canary %s takes requests", self.pipeline.name, named.version)
        out = self._out_without(named.version)
        self._change(canary=ServedCanary(served, named.share), beside_problem="", out=out)

    def _failed(self, version: str, what: str, error: Exception) -> str:
        why = why_failed(error)
        _log.error("%s: %s: %s", self.pipeline.name, what, why)
        # A storage that does not answer says nothing about the version.
        if not isinstance(error, UnavailableError):
            self._change(out={**self.state.out, version: why})
        return why

    def _out_without(self, version: str) -> dict[str, str]:
        return {one: why for one, why in self.state.out.items() if one != version}

    def _change(self, **changes: Any) -> None:
        self.state = replace(self.state, **changes)
