"""What a server says of a pipeline to probes and Prometheus, and the word of several workers together."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

import msgspec


class Condition(StrEnum):
    """Whether a pipeline is served, and how up to date its version is; the best one first."""

    CURRENT = "current"
    """The champion answers."""
    STALE = "stale"
    """A version answers, and nobody knows whether it is still the champion: the storage is out of reach."""
    BEHIND = "behind"
    """A version answers that was champion before: the present one is being loaded, or failed its check."""
    NOT_LOADED = "not loaded"
    """Nothing answers."""


class ToldCanary(msgspec.Struct, frozen=True):
    """The canary that the pointer names, whether it takes its share of the keys, and why not."""

    version: str
    share: float
    answers: bool
    problem: str = ""


class ToldShadow(msgspec.Struct, frozen=True):
    """The version that is the champion's shadow, whether it is asked, and why not."""

    version: str
    asked: bool
    problem: str = ""


class Told(msgspec.Struct, frozen=True):
    """What is served of a pipeline.

    `version` answers, and `champion` is what the pointer named last; where they differ, `problem` says why.
    `ready` says that a version answers, or that there is no champion that could. `seen` is when the storage
    was read last and `loaded` when the version began to answer, in seconds of the monotonic clock, which all
    workers share. `newest_ends` is when the newest published partition ends, in Unix time. `out` has the
    champion and the canary if they failed their check, and why. `unread` says that the last look could
    not read the storage.
    """

    ready: bool
    version: str | None
    champion: str | None
    problem: str
    seen: float
    loaded: float
    canary: ToldCanary | None = None
    shadow: ToldShadow | None = None
    newest_ends: float | None = None
    out: dict[str, str] = msgspec.field(default_factory=dict)
    unread: bool = False

    @property
    def is_current(self) -> bool:
        """Whether the champion answers."""
        return self.version is not None and self.version == self.champion

    def condition(self, patience: float) -> Condition:
        """How up to date the answers are, where the storage may be silent for `patience` seconds."""
        if self.version is None:
            return Condition.NOT_LOADED
        # The pointer is not read while another version is loaded.
        if not self.is_current:
            return Condition.BEHIND
        return Condition.STALE if time.monotonic() - self.seen > patience else Condition.CURRENT

    def document(self, patience: float) -> dict[str, Any]:
        """What `/ready` says of the pipeline."""
        found: dict[str, Any] = {
            "version": self.version,
            "champion": self.champion,
            "condition": self.condition(patience),
        }
        if self.problem:
            found["problem"] = self.problem
        if (canary := self.canary) is not None:
            found["canary"] = {"version": canary.version, "share": canary.share, "answers": canary.answers}
            if canary.problem:
                found["canary"]["problem"] = canary.problem
        if (shadow := self.shadow) is not None:
            found["shadow"] = {"version": shadow.version, "asked": shadow.asked}
            if shadow.problem:
                found["shadow"]["problem"] = shadow.problem
        return found


Pipelines = Mapping[str, Told]
"""What one worker says of each pipeline, by name."""


def by_pipeline(workers: Iterable[Pipelines]) -> dict[str, list[Told]]:
    """What each worker says of a pipeline, by its name."""
    found: dict[str, list[Told]] = {}
    for worker in workers:
        for name, told in worker.items():
            found.setdefault(name, []).append(told)
    return found


def furthest_behind(told: Iterable[Told], patience: float) -> Told:
    """The one of them that is the least up to date."""
    order = list(Condition)
    return max(told, key=lambda one: (order.index(one.condition(patience)), -one.seen))
