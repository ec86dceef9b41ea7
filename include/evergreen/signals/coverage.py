"""The signal `coverage`: a sequential test of how often intervals or sets hold the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from evergreen.calendar import Calendar, Length
from evergreen.description import Described
from evergreen.numbers import percent
from evergreen.signals.record import Record
from evergreen.signals.signal import Finding, Nights, Signal, Terms, register
from evergreen.signals.turn import Turn, in_percent
from evergreen.task import Task
from evergreen.units import SomeLength, Tolerance

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from evergreen.signals.sequential import Crossing


_INTERVALS = "intervals"


class Coverage(Described):
    """How many more rows may be missed than promised, and how seldom a false alarm is to be."""

    tolerance: Tolerance = 0.25
    """The share of the rows that may be missed: 25% of the 10% that an interval of 90% may miss."""
    run_length: SomeLength = Length.read("5 years")
    """How long until a false alarm on average, at least. Example: 5 years"""


@dataclass(frozen=True, kw_only=True)
class CoverageSignal(Signal[Coverage]):
    """Page's cumulative sum of the share of rows that intervals, or sets, of the first level miss.

    A partition adds what it missed beyond the promise and the `tolerance`, in standard deviations that its
    number of rows and the dependence of the hold-out's rows let expect, less a slack of half a deviation; the
    hours of a day are one partition here. The limit follows from `run_length` without a law of the shares:
    see `evergreen.signals.run_length`. When it fires, the errors are estimated to have changed after the last
    partition on which the sum was 0. Intervals that hold more than promised are said, and start nothing; sets
    always do where the model is right more often than promised.

    Example:
        monitoring:
          coverage: {tolerance: 25%, run_length: 5 years}
          retrain: {on: [coverage]}
    """

    def turns(self) -> dict[str, Turn]:
        """The tolerance."""
        return {"tolerance": Turn((self.name, "tolerance"), range(0, 105, 5), in_percent)}

    def asks_when(self, terms: Terms) -> str:
        """The tolerance, and how seldom by chance."""
        limits, calendar = self.of(terms.watched), terms.calendar
        return (
            f"{_kind(terms.metric.task)} miss more than {percent(limits.tolerance)} more rows than promised, "
            "for good: their CUSUM is above its limit (by chance once in "
            f"{calendar.in_words(limits.run_length)} at most)"
        )

    def look(self, nights: Nights) -> Finding:
        """Whether the sum is above the limit."""
        from evergreen.signals.run_length import limit

        if not nights.calendar.has_time:
            return Finding(False, "a snapshot has no CUSUM", {})
        kind, known = _kind(nights.metric.task), [record for record in nights.records if record.coverage]
        if not known:
            return Finding(False, f"no labels of rows with {kind}", {"sum": None})
        limits, calendar, main = self.of(nights.watched), nights.calendar, known[-1].coverage[0]
        if (correlation := main.get("correlation")) is None:
            return Finding(False, "the hold-out has too few partitions to judge the coverage", {"sum": None})
        units = _units(calendar, nights.records[0].partition, known)
        if not units:
            return Finding(False, f"no whole day of rows with {kind} yet", {"sum": None})
        h = limit(calendar.about(limits.run_length) / calendar.grain.facts.unit)
        allowed = (1 - main["level"]) * (1 + limits.tolerance)
        spared = (1 - main["level"]) / (1 + limits.tolerance)
        found = _Sums(
            kind=kind,
            level=main["level"],
            units=units,
            limit=h,
            under=_crossing(units, _scores(units, allowed, correlation), h),
            over=_crossing(units, -_scores(units, spared, correlation), h),
        )
        return Finding(found.under.crossed, found.clause(calendar), found.figures)


@dataclass(frozen=True)
class _Unit:
    """Partitions that count as one, `first` to `last`: their labelled rows, and how many were missed."""

    first: str
    last: str
    rows: int
    missed: int


@dataclass(frozen=True)
class _Sums:
    """The sums of what the intervals or sets of a level miss too often, `under`, and too seldom, `over`."""

    kind: str
    level: float
    units: Sequence[_Unit]
    limit: float
    under: Crossing
    over: Crossing

    @property
    def said_over(self) -> bool:
        """Whether intervals hold more than promised; of sets a good model's always do."""
        return self.over.crossed and self.kind == _INTERVALS

    @property
    def figures(self) -> dict[str, Any]:
        """The numbers, as evidence; `covered` is of all rows."""
        rows, covered = self._held(None)
        return {
            "level": self.level,
            "covered": covered,
            "rows": rows,
            "sum": self.under.sum,
            "over": self.said_over,
            "limit": self.limit,
            "since": self.under.since,
            "at": self.under.at,
            "partitions": len(self.units),
        }

    def clause(self, calendar: Calendar) -> str:
        """The share that is held since the sum rose, or of all rows, and where the sum stands."""
        crossed = self.under if self.under.crossed else self.over if self.said_over else None
        rows, covered = self._held(crossed.since if crossed else None)
        held = f"{percent(self.level)} {self.kind} hold {percent(covered)} of {rows:,} rows"
        if crossed is None:
            return f"{held} (CUSUM {self.under.sum:.1f} of {self.limit:.1f})"
        side = "" if self.under.crossed else ", more than promised"
        return f"{held} since {crossed.since}{side} (CUSUM crossed {calendar.on(str(crossed.at))})"

    def _held(self, since: str | None) -> tuple[int, float | None]:
        """How many rows there are since a partition, by default in all, and the share that is held."""
        counted = [unit for unit in self.units if since is None or unit.first >= since]
        rows, missed = sum(unit.rows for unit in counted), sum(unit.missed for unit in counted)
        return rows, 1 - missed / rows if rows else None


def _kind(task: Task) -> str:
    """What is promised to hold the truth."""
    return _INTERVALS if task is Task.REGRESSION else "sets"


def _units(calendar: Calendar, start: str, known: Sequence[Record]) -> list[_Unit]:
    """The records by unit, counted from the partition `start`; one that is not over yet is left out."""
    size = calendar.grain.facts.unit

    def number(record: Record) -> int:
        return calendar.distance(start, record.partition) // size

    found = [list(group) for _, group in groupby(known, number)]
    if (calendar.distance(start, known[-1].partition) + 1) % size:
        found.pop()
    return [_pooled(records) for records in found]


def _pooled(records: Sequence[Record]) -> _Unit:
    main = [record.coverage[0] for record in records]
    rows = sum(one["rows"] for one in main)
    covered = sum(one["covered"] for one in main)
    return _Unit(records[0].partition, records[-1].partition, rows, rows - covered)


def _scores(units: Sequence[_Unit], allowed: float, correlation: float) -> NDArray[np.float64]:
    """How many standard deviations the missed share of each unit (n,) is above the `allowed` one.

    That of a share of n rows, of which two correlate: Kish's design effect, 1 + (n - 1) correlation.
    """
    import numpy as np

    rows = np.array([unit.rows for unit in units], dtype=np.float64)
    shares = np.array([unit.missed for unit in units], dtype=np.float64) / rows
    variance = allowed * (1 - allowed) * (1 + (rows - 1) * correlation) / rows
    scores: NDArray[np.float64] = (shares - allowed) / np.sqrt(variance)
    return scores


def _crossing(units: Sequence[_Unit], scores: NDArray[np.float64], h: float) -> Crossing:
    """Page's sum of the capped scores (n,) of the units; it crosses with the last partition of one."""
    from evergreen.signals.run_length import SLACK, capped
    from evergreen.signals.sequential import crossing

    found = crossing(capped(scores), SLACK, h, [unit.first for unit in units])
    ends = {unit.first: unit.last for unit in units}
    return found if found.at is None else replace(found, at=ends[found.at])


COVERAGE = register(
    CoverageSignal(
        name="coverage",
        words="coverage of intervals or sets",
        fires_when="the sum of what intervals or sets miss is above the limit by `coverage.run_length`",
        needs=("labels", "intervals or sets", "time"),
        tasks=(Task.REGRESSION, Task.CLASSIFICATION),
        knobs=Coverage,
        figure="sum",
        dates_change=True,
        source="E. S. Page, Biometrika 41, 1954; G. Bennett, Journal of the American Statistical Association "
        "57, 1962; J. Shin, A. Ramdas and A. Rinaldo, E-detectors, 2024",
    )
)
