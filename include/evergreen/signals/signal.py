"""What a signal is, and the registry of all there are.

A signal says by itself what the rest of the project asks of one: which knobs a description may set, for which
tasks it is, when it fires and in which words, what an alert says of it and what tuning may turn. This module
and those that define signals are read while Airflow parses DAG files: what needs numpy imports it inside a
function.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from evergreen.calendar import Calendar
from evergreen.description import Described, Extended
from evergreen.metrics import Metric
from evergreen.signals.record import Record
from evergreen.signals.turn import Turn
from evergreen.task import Task
from evergreen.units import Times

Knobs = TypeVar("Knobs", bound=Described)
Alerted = Literal["performance", "drift"]
Need = Literal["labels", "probabilities", "features", "predictions", "time"]


class Watched(Extended):
    """The part of a description that holds the knobs of the signals, those of each under its name."""

    @classmethod
    def further(cls) -> Mapping[str, tuple[Any, Any]]:
        """The knobs of every signal that has some."""
        return {one.name: (one.knobs, one.knobs()) for one in SIGNALS.values() if one.knobs is not None}


@dataclass(frozen=True)
class Nights:
    """What a signal looks at.

    `records` are those that speak, at least one: of the newest champion, since the last training, oldest
    first, with the labels known by then. `watched` are the knobs of all signals; a signal of single
    partitions fires when it holds in `when` of the last ones.
    """

    records: Sequence[Record]
    watched: Watched
    calendar: Calendar
    metric: Metric
    when: Times

    @property
    def newest(self) -> Record:
        """The record of the newest partition."""
        return self.records[-1]

    @property
    def unseen(self) -> float:
        """The share of the partitions now in the training window that came after the last training."""
        history = self.newest.history
        return len(self.records) / history if history else 0.0

    def labelled(self, most: int) -> list[Record]:
        """The newest records, at most so many, that have an error to hold against a promise; oldest first."""
        known: list[Record] = []
        for record in reversed(self.records):
            if len(known) == most:
                break
            if record.labelled and record.error is not None and record.promised is not None:
                known.append(record)
        return known[::-1]


@dataclass(frozen=True)
class Finding:
    """Whether a signal fires, and a clause that says so with its figures."""

    fires: bool
    clause: str
    figures: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The finding as evidence of a decision: `fires`, `clause`, and its figures by name."""
        return {"fires": self.fires, "clause": self.clause, **self.figures}


@dataclass(frozen=True, kw_only=True)
class Signal(ABC, Generic[Knobs]):
    """One reason to retrain.

    `name` is what a description calls it, `words` what a page does, and `fires_when` says when it fires. It
    is for the `tasks`, and silent without what it `needs`. `knobs` is the model of what a description may set
    under `monitoring.<name>`, None where there is nothing to set.

    `alert` is the alert that says so when it fires, None for none. `figure` is the figure of its finding that
    is None, or not there, while the signal cannot be judged: such an alert is not over. One without a figure
    can always be judged. `of_time` marks one
    that goes by the calendar alone and so answers nothing that was measured. `source` is that of the method.
    """

    name: str
    words: str
    fires_when: str
    tasks: tuple[Task, ...] = tuple(Task)
    knobs: type[Knobs] | None = None
    needs: tuple[Need, ...] = ()
    alert: Alerted | None = None
    figure: str = ""
    of_time: bool = False
    source: str = ""

    @abstractmethod
    def look(self, nights: Nights) -> Finding:
        """Whether it fires after the newest of the nights."""

    def of(self, watched: Watched) -> Knobs:
        """Its knobs, as described."""
        knobs: Knobs = getattr(watched, self.name)
        return knobs

    def by_default(self, task: Task, late: bool) -> bool:
        """Whether it counts where a description names no signals; `late`: its labels come later."""
        return False

    def measured(self, watched: Watched) -> dict[str, Any]:
        """Those of its knobs that bear on what is measured of a night, as JSON values."""
        return {}

    def warning(self, record: Record, clause: str) -> str:
        """What an alert says of the newest record where it fires with this clause."""
        return clause

    def turns(self) -> dict[str, Turn]:
        """What tuning may turn, by name."""
        return {}


SIGNALS: dict[str, Signal[Any]] = {}
"""Every signal by its name, in the order in which their clauses stand."""

AnySignal = TypeVar("AnySignal", bound=Signal[Any])


def register(signal: AnySignal) -> AnySignal:
    """Add a signal to those there are. Raises `ValueError` for a name that is taken."""
    if signal.name in SIGNALS:
        raise ValueError(f"signal '{signal.name}': there is one of this name, take another")
    SIGNALS[signal.name] = signal
    return signal


def of_time() -> set[str]:
    """The names of the signals that go by the calendar alone."""
    return {one.name for one in SIGNALS.values() if one.of_time}


def words_of(name: str) -> str:
    """What a page calls a signal; one of older code by its name."""
    return SIGNALS[name].words if name in SIGNALS else name
