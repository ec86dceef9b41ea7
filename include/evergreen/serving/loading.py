"""Makes a stored version ready to answer, once it has given its golden predictions."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

import pyarrow as pa

from evergreen.errors import EvergreenError, one_line
from evergreen.pipeline import Pipeline
from evergreen.scoring.afresh import load_checked_afresh
from evergreen.serving.answer import with_direct_way
from evergreen.serving.served import Served

Turn = Callable[[], AbstractContextManager[None]]
"""Within it a version is loaded: where servers share a machine, by one of them at a time."""

_PATIENCE = 300.0
"""Seconds between two attempts to load a version that has failed often."""


class Loader:
    """Loads the versions that take one role, one after the other; a failed one is tried ever more seldom."""

    def __init__(self, pipeline: Pipeline, turn: Turn, failed: Callable[[], None]) -> None:
        """A version is loaded within a `turn`; `failed` is called when one could not be loaded."""
        self._pipeline, self._turn, self._failed = pipeline, turn, failed
        self.begin()

    def begin(self) -> None:
        """Try at once with the next `load`, whatever failed before."""
        self._attempts, self._again = 0, float("-inf")

    def load(self, version: str, published: pa.Schema) -> Served | None:
        """The version, checked in another process; None while it is too early to try it again.

        Raises as `load_checked_afresh` does, and what features and estimators raise.
        """
        if time.monotonic() < self._again:
            return None
        try:
            with self._turn():
                made = self._load(version, published)
        except Exception:
            self._failed()
            self._attempts += 1
            self._again = time.monotonic() + min(_PATIENCE, 2.0**self._attempts)
            raise
        self._attempts = 0
        return made

    def _load(self, version: str, published: pa.Schema) -> Served:
        made = with_direct_way(Served.of(load_checked_afresh(self._pipeline, version), published))
        # Before it answers; if it fails, the next refresh says so, and requests that need it.
        with suppress(EvergreenError):
            made.look_back.refresh()
        return made


def why_failed(error: Exception) -> str:
    """Why a version could not be loaded, in one line."""
    said = one_line(error)
    return said if isinstance(error, EvergreenError) else f"{type(error).__name__}: {said}"
