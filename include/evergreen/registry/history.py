"""What happened to the models of a pipeline, and what follows from it. Pure: no input or output.

The events, in the order of their numbers, are the truth. `Force`, which version is in force for which
partitions, is computed from them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from evergreen.calendar.calendar import SNAPSHOT

INCONCLUSIVE = "inconclusive"
"""The `verdict` in the reason of a refusal that leaves open which version is better."""


class Kind(StrEnum):
    """What can happen to a version."""

    PROMOTED = "promoted"
    REFUSED = "refused"
    ROLLED_BACK = "rolled_back"
    REMOVED = "removed"
    CANARY = "canary"


class State(StrEnum):
    """What a version is now."""

    CHAMPION = "champion"  # in force for the newest partitions
    PROMOTED = "promoted"  # in force for older partitions
    SUPERSEDED = "superseded"  # was promoted, and another took its place for the very same partitions
    WITHDRAWN = "withdrawn"  # was rolled back
    REFUSED = "refused"
    TRIAL = "trial"  # the gate could not decide; each night compares it with the champion
    CANARY = "canary"  # answers a share of the requests to a server
    COMMITTED = "committed"  # neither promoted nor refused yet


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    - promoted: `version` is in force from partition `as_of` on, in place of `replaces`.
    - refused: `version`, trained as of `as_of`, is not in force.
    - rolled_back: `replaces` is withdrawn from all partitions; `version` is in force from `as_of` on.
    - removed: the files of `version`, which is not in force, are deleted; it is never promoted again.
    - canary: `version` answers requests for a `share` of the keys from now on, in place of the canary
      `replaces`; with a share of 0 it no longer does.

    Retention counts from `at` (ISO 8601, with an offset). `by` and `reason` are for people only.
    """

    seq: int
    kind: Kind
    version: str
    as_of: str
    replaces: str | None
    reason: dict[str, Any] = field(default_factory=dict)
    at: str = ""
    by: str = ""
    share: float | None = None

    def to_json(self) -> bytes:
        """The event as it is stored."""
        content = asdict(self)
        if self.share is None:  # earlier releases read the events that they know
            del content["share"]
        return json.dumps(content, indent=1).encode()

    @classmethod
    def from_json(cls, body: bytes) -> Event:
        """The event in these bytes; raises `ValueError`, `TypeError` or `KeyError` if they hold none."""
        return cls.of(json.loads(body))

    @classmethod
    def of(cls, content: dict[str, Any]) -> Event:
        """The event of this content; raises as `from_json`."""
        return cls(**{**content, "seq": int(content["seq"]), "kind": Kind(content["kind"])})

    def concerns(self, version: str) -> bool:
        """Whether the event happened to that version."""
        return version == self.version or (self.kind is Kind.ROLLED_BACK and version == self.replaces)

    @property
    def puts_in_force(self) -> bool:
        """Whether `version` is in force because of it."""
        return self.kind in (Kind.PROMOTED, Kind.ROLLED_BACK)


@dataclass(frozen=True)
class Canary:
    """A version that answers requests for a share of the keys, more than 0 and at most 1."""

    version: str
    share: float


@dataclass(frozen=True)
class Force:
    """Which version is in force for which partitions, after event number `seq`.

    `stack` holds (as_of, version), sorted by as_of and, for equal ones, by event. In force for a partition is
    the last one whose as_of is not after it. `canary` answers requests beside the champion; no partition is
    scored by it.
    """

    seq: int = 0
    stack: tuple[tuple[str, str], ...] = ()
    canary: Canary | None = None

    def champion(self, as_of: str | None = None) -> str | None:
        """The version in force for partition `as_of`, by default for the newest."""
        fitting = [version for start, version in self.stack if as_of is None or start <= as_of]
        return fitting[-1] if fitting else None

    @property
    def start(self) -> str | None:
        """The first partition that the newest champion is in force for."""
        return self.stack[-1][0] if self.stack else None

    def holds(self, version: str) -> bool:
        """Whether the version is in force for some partition, or would be once a later one is withdrawn."""
        return any(version == held for _, held in self.stack)

    def is_canary(self, version: str) -> bool:
        """Whether the version answers a share of the requests."""
        return self.canary is not None and self.canary.version == version

    def after(self, event: Event) -> Force:
        """What is in force once this event has happened."""
        stack = self.stack
        if event.kind is Kind.ROLLED_BACK:
            stack = tuple(entry for entry in stack if entry[1] != event.replaces)
        if event.puts_in_force:
            place = sum(start <= event.as_of for start, _ in stack)
            stack = (*stack[:place], (event.as_of, event.version), *stack[place:])
        return Force(event.seq, stack, self._canary_after(event))

    def _canary_after(self, event: Event) -> Canary | None:
        """Another champion ends the canary, which was tried beside the one before; so does its refusal."""
        if event.kind is Kind.CANARY:
            return Canary(event.version, event.share) if event.share else None
        ended = event.puts_in_force or (
            event.kind in (Kind.REFUSED, Kind.REMOVED) and self.is_canary(event.version)
        )
        return None if ended else self.canary

    def to_json(self) -> bytes:
        """The content of `champion.json`."""
        content: dict[str, Any] = {
            "version": self.champion(),
            "as_of": self.start,
            "seq": self.seq,
            "in_force": [list(entry) for entry in self.stack],
        }
        if self.canary is not None:
            content["canary"] = asdict(self.canary)
        return json.dumps(content, indent=1).encode()

    @classmethod
    def from_json(cls, body: bytes) -> Force:
        """What `champion.json` says; raises `ValueError`, `TypeError` or `KeyError` if it says nothing.

        Also if its `version` or `as_of`, which others read, is not that of the last in force.
        """
        content = json.loads(body)
        stack = tuple((str(a), str(v)) for a, v in content["in_force"])
        canary = content.get("canary")
        force = cls(
            int(content["seq"]), stack, canary and Canary(str(canary["version"]), float(canary["share"]))
        )
        if (content["version"], content["as_of"]) != (force.champion(), force.start):
            raise ValueError("its version is not the last in force")
        return force


def missing(events: Sequence[Event]) -> int | None:
    """The first number that is missing before the last event; None if none is."""
    numbers = {event.seq for event in events}
    return next((seq for seq in range(1, max(numbers, default=0)) if seq not in numbers), None)


def fold(events: Iterable[Event], force: Force | None = None) -> Force:
    """What is in force after these events, which come after those that `force` was computed from."""
    force = force or Force()
    for event in events:
        force = force.after(event)
    return force


def last_word(events: Sequence[Event], version: str) -> Event | None:
    """The latest event that decided about the version: not its removal, nor that it was a canary."""
    decided = (e for e in reversed(events) if e.kind not in (Kind.REMOVED, Kind.CANARY))
    return next((e for e in decided if e.concerns(version)), None)


def withdrawn(events: Sequence[Event], version: str) -> bool:
    """Whether the version was rolled back, and nothing happened to it since."""
    last = last_word(events, version)
    return last is not None and last.kind is Kind.ROLLED_BACK and last.replaces == version


def challenger(versions: Iterable[str], events: Sequence[Event]) -> str | None:
    """The version that may follow the newest champion; None if there is none.

    `versions` are the committed ones, newest first, and `events` the whole history. It is the newest version
    that comes after the champion and that nobody has decided on, or whose comparison was inconclusive.
    """
    champion = fold(events).champion()
    for version in versions:
        if champion in (None, version):
            return None
        last = last_word(events, version)
        if last is None or (last.kind is Kind.REFUSED and last.reason.get("verdict") == INCONCLUSIVE):
            return version
    return None


def on_trial(events: Sequence[Event]) -> str | None:
    """The version that the nights compare with the champion, as `evergreen.monitoring.trainings.on_trial`.

    `events` are the newest ones, back to a promotion or to the first of all.
    """
    for event in reversed(events):
        if event.kind is Kind.PROMOTED:
            return None
        if event.kind is Kind.REFUSED and event.reason.get("verdict") == INCONCLUSIVE:
            return None if event.as_of == SNAPSHOT else event.version
    return None


def removal(events: Sequence[Event], version: str) -> Event | None:
    """The event that the version's files were removed by; None if they were not."""
    return next((e for e in reversed(events) if e.kind is Kind.REMOVED and e.version == version), None)


def promotion(events: Sequence[Event], version: str | None) -> Event | None:
    """The latest event that put the version in force."""
    return next((e for e in reversed(events) if e.puts_in_force and e.version == version), None)


def last_canary(events: Sequence[Event], version: str) -> Event | None:
    """The latest event that made the version a canary, or ended that."""
    return next((e for e in reversed(events) if e.kind is Kind.CANARY and e.version == version), None)


def state_of(version: str, events: Sequence[Event]) -> State:
    """What the version is after these events (the whole history)."""
    return state_in(fold(events), version, events)


def state_in(force: Force, version: str, events: Sequence[Event]) -> State:
    """What the version is where this is in force.

    `events` are the newest ones, back at least to the latest that decided about the version.
    """
    if force.is_canary(version):
        return State.CANARY
    if (last := last_word(events, version)) is None:
        return State.COMMITTED
    if version == force.champion():
        return State.CHAMPION
    if force.holds(version):
        reigns = {force.champion(start) for start, _ in force.stack}
        return State.PROMOTED if version in reigns else State.SUPERSEDED
    if last.kind is Kind.REFUSED:
        return State.TRIAL if version == on_trial(events) else State.REFUSED
    return State.WITHDRAWN
