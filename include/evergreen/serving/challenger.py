"""Follows a pipeline's challenger, the shadow of the champion: the newest version that may take its place.

It is held to its golden sample like a champion, and one that fails is not asked. It answers nothing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import pyarrow as pa

from evergreen.errors import one_line
from evergreen.pipeline import Pipeline
from evergreen.serving.loading import Loader, why_failed
from evergreen.serving.served import Served

_LOOKS = 5
"""A new version is looked for with every so many looks at the pointer, since it needs two listings."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shadow:
    """The champion's shadow, ready to be asked as `served`; `problem` says why it is not."""

    version: str | None = None
    served: Served | None = field(default=None, repr=False)
    problem: str = ""


class Challenger:
    """Keeps `shadow` up to date; one thread calls `look`, others read `shadow`."""

    def __init__(self, pipeline: Pipeline, loader: Loader) -> None:
        self.pipeline = pipeline
        self.shadow = Shadow()
        self._loader = loader
        self._looks = 0

    def look(self, schema: pa.Schema | None, *, is_new: bool) -> None:
        """Look for a version and load it for columns of this schema; at once where the pointer `is_new`.

        Raises nothing: `shadow` says it.
        """
        if schema is None or self.pipeline.spec.serving.shadow is None:
            return
        try:
            if is_new or self._looks % _LOOKS == 0:
                self._choose()
            self._looks += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, the champion answers on
            self._say(self.shadow.version, self.shadow.served, f"it is not known: {one_line(error)}")
            return
        self._load(schema)

    def _choose(self) -> None:
        version = self.pipeline.registry.challenger()
        if version != self.shadow.version:
            self._loader.begin()
            self._say(version)

    def _load(self, schema: pa.Schema) -> None:
        version, served = self.shadow.version, self.shadow.served
        if version is None:
            self._say(None)
            return
        try:
            if served is None or served.published != schema:
                self._say(version, problem=self.shadow.problem)
                served = self._loader.load(version, schema)
                if served is None:
                    return
                _log.info("%s: %s is asked as the champion's shadow", self.pipeline.name, version)
            else:
                served.look_back.refresh()
        except Exception as error:  # noqa: BLE001 - features and estimators may raise anything
            why = why_failed(error)
            if served is None:
                _log.error("%s: shadow %s is not asked: %s", self.pipeline.name, version, why)
            self._say(version, served, why)
            return
        self._say(version, served)

    def _say(self, version: str | None, served: Served | None = None, problem: str = "") -> None:
        self.shadow = Shadow(version, served, problem)
