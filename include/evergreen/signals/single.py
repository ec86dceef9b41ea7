"""Signals of single partitions: each partition is judged alone, and enough of the last ones must hold."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from evergreen.signals.record import Record
from evergreen.signals.signal import Knobs, Nights, Signal, Terms
from evergreen.signals.turn import Turn, in_times
from evergreen.signals.words import stretch

_WHEN = ((1, 1), (2, 2), (2, 3), (3, 3), (3, 5), (4, 5), (5, 7))


@dataclass(frozen=True, kw_only=True)
class OfSinglePartitions(Signal[Knobs]):
    """A signal that fires when it holds in `monitoring.retrain.when` of the last partitions.

    The newest must be among those in which it holds.
    """

    @abstractmethod
    def holds(self, nights: Nights, record: Record) -> bool:
        """Whether it holds on a partition."""

    def often(self, terms: Terms) -> str:
        """In how many of the last partitions it must hold, in words; empty for a snapshot."""
        wanted, among = terms.when
        if not terms.calendar.has_time:
            return ""
        partitions = terms.calendar.last(among)
        return f" on {f'{wanted} of ' if wanted < among else 'each of ' if among > 1 else ''}{partitions}"

    def held(self, nights: Nights) -> Held:
        """In how many of the last partitions it holds."""
        wanted, among = nights.when if nights.calendar.has_time else (1, 1)
        last = nights.records[-among:]
        held = [self.holds(nights, record) for record in last]
        return Held(sum(held), len(last), wanted, held[-1], stretch(nights.calendar, last, nights.newest))

    def turns(self) -> dict[str, Turn]:
        """How often it must hold."""
        return {"when": Turn(("retrain", "when"), _WHEN, in_times)}


@dataclass(frozen=True)
class Held:
    """In how many of the last partitions the condition held, and whether that is enough."""

    held: int
    among: int
    wanted: int
    newest: bool
    stretch: str

    @property
    def fires(self) -> bool:
        """Whether it held on the newest and on enough of the last partitions."""
        return self.newest and self.held >= self.wanted

    @property
    def words(self) -> str:
        """`on 2 of the last 3 days`."""
        share = {0: "none of ", self.among: "each of " if self.among > 1 else ""}
        return f"on {share.get(self.held, f'{self.held} of ')}{self.stretch}"

    @property
    def wanted_words(self) -> str:
        """How many are needed, if it held on too few."""
        return f"{self.wanted} wanted; " if 0 < self.held < self.wanted else ""

    @property
    def figures(self) -> dict[str, Any]:
        """The numbers, as evidence."""
        return {"held": self.held, "among": self.among, "wanted": self.wanted}
