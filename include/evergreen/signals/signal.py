"""The definition of a signal, and the registry of all signals.

A signal object has everything that the project needs of it: the settings (`knobs`) that a description may
set, its tasks, when it fires and in which words, the text of its alert and what tuning may change. This
module and those that define signals are imported while Airflow parses DAG files, so numpy is imported inside
functions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Generic, Literal, TypeVar

from evergreen.calendar import Calendar
from evergreen.description import Described, Extended
from evergreen.metrics import Metric
from evergreen.numbers import percent
from evergreen.signals.last import NOTHING_YET, LastTraining
from evergreen.signals.record import Record
from evergreen.signals.turn import Turn
from evergreen.task import Task
from evergreen.units import Times

Knobs = TypeVar("Knobs", bound=Described)
Alerted = Literal["performance", "drift"]
Need = Literal[
    "labels", "probabilities", "intervals or sets", "features", "predictions", "time", "logged requests"
]


class Watched(Extended):
    """The part of a description with the settings of the signals, each under its name."""

    @classmethod
    def further(cls) -> Mapping[str, tuple[Any, Any]]:
        """The settings of every signal that has any."""
        return {one.name: (one.knobs, one.knobs()) for one in SIGNALS.values() if one.knobs is not None}


@dataclass(frozen=True)
class Nights:
    """The data that a signal reads.

    `records` (at least one) are those of the newest champion since the last training, oldest first, with the
    labels known by then. `watched` are the settings of all signals; a signal of single
    partitions fires when it holds in `when` of the last ones. `last` is what became of the last training.
    """

    records: Sequence[Record]
    watched: Watched
    calendar: Calendar
    metric: Metric
    when: Times
    last: LastTraining = NOTHING_YET

    @property
    def newest(self) -> Record:
        """The record of the newest partition."""
        return self.records[-1]

    @property
    def unseen(self) -> float:
        """The share of the partitions now in the training window that came after the last training."""
        history = self.newest.history
        fresh = len(self.records) if self.last.fresh is None else self.last.fresh
        return min(fresh / history, 1.0) if history else 0.0

    @property
    def labelled(self) -> list[Record]:
        """The records with labelled rows to hold against a promise, oldest first."""
        return [one for one in self.records if self.counts(one)]

    def counts(self, record: Record) -> bool:
        """Whether a record has labelled rows to hold against a promise."""
        return record.promised is not None and record.part(self.metric.name) is not None


@dataclass(frozen=True)
class Terms:
    """What of a description bears on when signals fire, known before any night.

    `watched`, `calendar`, `metric` and `when` as of `Nights`. `window` is how many partitions the training
    window has once it is full.
    """

    watched: Watched
    calendar: Calendar
    metric: Metric
    when: Times
    window: int

    def lets(self, signal: Signal[Any]) -> bool:
        """Whether a signal can fire at all: one that needs time never does in a snapshot."""
        return self.calendar.has_time or "time" not in signal.needs

    def new(self, share: float) -> str:
        """A share of the training window in words, with the number of partitions of a full one."""
        partitions = self.calendar.counted(ceil(round(share * self.window, 6)))
        return f"{percent(share)} of the training window ({partitions} of a full one)"


@dataclass(frozen=True)
class Finding:
    """Whether a signal fires, and a clause with its figures."""

    fires: bool
    clause: str
    figures: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The finding as evidence of a decision: `fires`, `clause`, and its figures by name."""
        return {"fires": self.fires, "clause": self.clause, **self.figures}


@dataclass(frozen=True, kw_only=True)
class Signal(ABC, Generic[Knobs]):
    """One reason to retrain.

    `name` is its name in descriptions, `words` its name on pages, and `fires_when` says when it fires. It is
    for the `tasks`, and does not fire without the data that it `needs`. `knobs` is the model of its settings
    under `monitoring.<name>`, None if it has none.

    `alert` is the alert that it raises when it fires, if any. `figure` is the figure of its finding that is
    None or missing while the signal cannot be judged; its alert is not resolved then. A signal without a
    figure can always be judged. `of_time` marks a signal that is no alarm: time makes it fire, and not
    a change of the data. `dates_change`: when it fires, its figure `since` is the first partition after the
    change, by its estimate. `source` is the source of the method.
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
    dates_change: bool = False
    source: str = ""

    @abstractmethod
    def look(self, nights: Nights) -> Finding:
        """Whether it fires after the newest of the nights."""

    def asks_when(self, terms: Terms) -> str:
        """When it fires, in a clause with its limits; by default `fires_when`, and its settings."""
        described = self.of(terms.watched).model_dump(mode="json") if self.knobs else {}
        settings = ", ".join(f"{self.name}.{name}: {value}" for name, value in described.items())
        return f"{self.fires_when} ({settings})" if settings else self.fires_when

    def of(self, watched: Watched) -> Knobs:
        """Its settings in the description."""
        knobs: Knobs = getattr(watched, self.name)
        return knobs

    def by_default(self, task: Task, late: bool, timed: bool) -> bool:
        """Whether it is active if a description names no signals.

        `late`: labels come later. `timed`: the pipeline has partitions in time, and is no snapshot.
        """
        return False

    def measured(self, watched: Watched) -> dict[str, Any]:
        """Those of its settings that affect the measurements of a night, as JSON values."""
        return {}

    def warning(self, record: Record, clause: str) -> str:
        """The text of an alert on the newest record, when the signal fires with this clause."""
        return clause

    def turns(self) -> dict[str, Turn]:
        """The settings that tuning may change, by name."""
        return {}


SIGNALS: dict[str, Signal[Any]] = {}
"""Every signal by its name, in the order of their clauses."""

AnySignal = TypeVar("AnySignal", bound=Signal[Any])


def register(signal: AnySignal) -> AnySignal:
    """Add a signal to the registry. Raises `ValueError` for a name that is taken."""
    if signal.name in SIGNALS:
        raise ValueError(f"signal '{signal.name}': the name is taken, choose another")
    SIGNALS[signal.name] = signal
    return signal


def of_time() -> set[str]:
    """The names of the signals that depend only on the calendar."""
    return {one.name for one in SIGNALS.values() if one.of_time}


def words_of(name: str) -> str:
    """A signal's name on pages; the plain name for a signal that no longer exists."""
    return SIGNALS[name].words if name in SIGNALS else name
