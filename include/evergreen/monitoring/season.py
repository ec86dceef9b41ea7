"""What a partition is held against, and which partitions before it count with it. Pure.

Winter is no drift, nor is Sunday. A night is therefore held against what its time of the year and its day of
the week let expect, and only a window that does not hold that season is answered by the days just before.

`window` is all of the training window. `season` are its rows within three weeks of the night's time of the
year, whatever the year, the nearer the heavier, of each day those of the same weekday. `trailing` are the
days before the night, `monitoring.drift.trailing` long, as a line through the counts of each weekday
foretells the night: a season that comes slowly goes on as it began, and what comes over night stands out,
until it has become usual. So it does not see what creeps.

Nothing later than the night is looked at, whatever it is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from evergreen.calendar import WEEK, days_of_year_apart, weekday
from evergreen.drift.binning import Counts
from evergreen.monitoring.cells import Cells, Floats
from evergreen.monitoring.drift import Sample
from evergreen.signals.drift import DRIFT, Reference
from evergreen.signals.record import Record
from evergreen.spec import Spec

REACH = 21  # days to both sides of the night's time of the year
LEAN = 3.5  # days that a season's rows may lie to one side of the night on average, or a side is missing
FEWEST = 3  # cells that make a season, if they have fewer than `drift.rows` rows
FORTNIGHT = 13.0  # days between the first and the last of those that a line is drawn through


@dataclass(frozen=True)
class Night:
    """A partition with those before it that it is pooled with, in the bins of the reference.

    `start` and `end` are where it begins and ends, in days; a snapshot has no time. `sample` are its rows,
    added up.
    """

    cells: Cells
    start: float
    end: float
    sample: Sample


class Earlier:
    """The records of a champion before a partition, in the bins of its reference; read as far as asked.

    `records` are sorted. Those of other versions, of the partition itself and of later ones are left out.
    """

    def __init__(
        self, spec: Spec, cells: Cells, records: Sequence[Record], *, partition: str, version: str
    ) -> None:
        self._calendar = spec.calendar
        self._cells = cells
        self._left = (
            record
            for record in reversed(records if spec.calendar.has_time else ())
            if record.partition < partition and record.version == version and record.counts
        )
        self._next = next(self._left, None)
        self._read: list[tuple[float, Record]] = []

    def rows_since(self, day: float) -> int:
        """How many rows the records have whose middle lies after a day."""
        return sum(record.rows for _, record in self._since(day))

    def since(self, day: float) -> Cells:
        """The records whose middle lies after a day, the newest first, as cells."""
        found, like = self._since(day), self._cells
        counts = np.array([_flat(like, record) for _, record in found])
        return Cells(
            like.names,
            like.widths,
            self._calendar.mean_days,
            np.array([middle for middle, _ in found]),
            counts.reshape(len(found), sum(like.widths)),
        )

    def _since(self, day: float) -> list[tuple[float, Record]]:
        while self._next is not None:
            middle = self._calendar.middle(self._next.partition)
            if middle <= day:
                break
            self._read.append((middle, self._next))
            self._next = next(self._left, None)
        return [(middle, record) for middle, record in self._read if middle > day]


def night_of(spec: Spec, cells: Cells, partition: str, counts: Floats, earlier: Earlier) -> Night:
    """A partition, with as many of those before it as `monitoring.drift.rows` rows ask for.

    `counts` (bins,) are its own. A day is pooled in whole weeks, so that each weekday counts alike, and an
    hour with all hours of a day at least; other partitions one by one; never more than
    `monitoring.drift.trailing`, for a night of too few rows is judged by the rows it has. The partitions
    before it are those of `earlier`, and before those the cells of the training window.
    """
    length = spec.calendar.mean_days
    middle = spec.calendar.middle(partition)
    own = Cells(cells.names, cells.widths, length, np.array([middle]), counts[np.newaxis])
    end = middle + length / 2
    start, trained = middle - length / 2, np.zeros(len(cells), dtype=bool)
    for days in _lengths(spec, cells):
        start = min(end - days, start)
        trained = (cells.middles > start) & (cells.middles < middle)
        rows = counts[: cells.widths[0]].sum() + earlier.rows_since(start) + cells.rows[trained].sum()
        if rows >= DRIFT.of(spec.monitoring).rows:
            break
    pooled = _stacked([_taken(cells, trained), earlier.since(start), own])
    return Night(pooled, start, end, _sample(pooled, np.ones(len(pooled)), cells.alike))


@dataclass(frozen=True)
class Against:
    """The `sample` that a night is held against, and which `reference` it is of."""

    reference: Reference
    sample: Sample


def against(spec: Spec, cells: Cells, night: Night, earlier: Earlier) -> Against:
    """What a night is held against, as `Spec.drift_reference` says, without the rows of the night itself.

    Where the window does not hold the season it is what trails the night, and where nothing does, the window.
    """
    apart = (cells.middles < night.start) | (cells.middles > night.end)
    window = (apart if apart.any() else ~apart).astype(np.float64)
    if not spec.calendar.has_time or spec.drift_reference == "window":
        return Against("window", _sample(cells, window, cells.alike))
    if spec.drift_reference == "season":
        weights = _season(cells, window, night.cells, DRIFT.of(spec.monitoring).rows)
        if weights is not None:
            return Against("season", _sample(cells, weights, cells.alike))
    trailing = _trailing_cells(spec, cells, night, earlier)
    if not trailing.rows.sum():
        return Against("window", _sample(cells, window, cells.alike))
    return Against("trailing", _sample(trailing, _foretold(trailing, night.cells), cells.alike))


def rows_like(spec: Spec, partitions: Sequence[str], partition: str) -> NDArray[np.bool_]:
    """Which training rows, by their partitions (n,), are of the kind that a partition is held against."""
    if not spec.calendar.has_time or spec.drift_reference == "window":
        return np.ones(len(partitions), dtype=bool)
    middles = np.array([spec.calendar.middle(key) for key in partitions])
    middle = spec.calendar.middle(partition)
    alike: NDArray[np.bool_] = np.abs(days_of_year_apart(middles, middle)) <= REACH
    if spec.drift_reference == "trailing":
        alike = (middles < middle) & (middles >= middle - _trailing(spec))
    if spec.calendar.mean_days <= 1:
        alike &= weekday(middles) == weekday(middle)
    return alike


def _lengths(spec: Spec, cells: Cells) -> Iterator[float]:
    """How many days a night may be pooled to, the fewest first."""
    if not spec.calendar.has_time:
        return
    unit = max(spec.calendar.mean_days, cells.length, 1.0)
    yield unit
    step = WEEK if unit <= WEEK else unit
    days = float(step) if unit < step else unit + step
    while days <= _longest(spec, cells):
        yield days
        days += step


def _longest(spec: Spec, cells: Cells) -> float:
    return max(_trailing(spec), spec.calendar.mean_days, cells.length, 1.0)


def _trailing(spec: Spec) -> float:
    return spec.calendar.days(spec.lengths.trailing)


def _season(cells: Cells, window: Floats, night: Cells, rows: int) -> Floats | None:
    """The weights of the cells (n,) for each of the night's partitions to be held against its own season.

    `window` (n,) is 1 for the cells that may be used, and 0 for others. None if the window does not hold the
    season: too few cells, or none on one side of the night's time of the year.
    """
    offsets = days_of_year_apart(cells.middles, night.middles[:, np.newaxis])
    near = np.maximum(1 - np.abs(offsets) / (REACH + 1), 0) * window
    if cells.length == 1:
        near *= weekday(cells.middles) == weekday(night.middles)[:, np.newaxis]
    found = near @ cells.rows
    if not (found > 0).all():
        return None
    lean = (near * offsets) @ cells.rows / found
    weights: Floats = (night.rows / found) @ near
    used = weights > 0
    enough = used.sum() >= FEWEST or cells.rows[used].sum() >= rows
    return weights if enough and abs(np.average(lean, weights=night.rows)) <= LEAN else None


def _trailing_cells(spec: Spec, cells: Cells, night: Night, earlier: Earlier) -> Cells:
    """Those of the last days before the night; of the last that there are, if they end long before it."""
    since = night.start - _trailing(spec)
    found = _between(cells, earlier, since, night.start)
    if not len(found):
        before = cells.middles[cells.middles < night.start]
        since = before.max(initial=0.0) - _trailing(spec)
        found = _between(cells, earlier, since, night.start)
    return found


def _between(cells: Cells, earlier: Earlier, since: float, until: float) -> Cells:
    parts = (cells, earlier.since(since))
    return _stacked([_taken(part, (part.middles > since) & (part.middles < until)) for part in parts])


def _foretold(cells: Cells, night: Cells) -> Floats:
    """The weights of the cells (n,) that the least-squares line through their shares gives for the night.

    A level for each weekday, where the cells are no longer than a day, and one slope in time for all; the
    rows say how much a cell counts. Less than a fortnight of cells is too short for a line, and counts as a
    whole.
    """
    if np.ptp(cells.middles) < FORTNIGHT:
        return np.ones(len(cells))
    design, wanted = _design(cells, night.middles), _design(night, night.middles)
    expected = np.average(wanted, axis=0, weights=night.rows)
    if (cells.rows @ design[:, 1:] == 0)[expected[1:] > 0].any():
        return np.ones(len(cells))  # a weekday that was never there
    gram = design.T @ (cells.rows[:, np.newaxis] * design)
    weights: Floats = design @ (np.linalg.pinv(gram, hermitian=True) @ expected)
    return weights


def _design(cells: Cells, around: Floats) -> Floats:
    """Weeks from the middle of the night, and which weekday it is: (n, 8); of longer cells (n, 2)."""
    time = (cells.middles - around.mean()) / WEEK
    days = 1 if cells.length > 1 else WEEK
    return np.column_stack([time, weekday(cells.middles)[:, np.newaxis] % days == np.arange(days)])


def _sample(cells: Cells, weights: Floats, alike: Floats) -> Sample:
    """The cells added up by their weights, as many rows as they are worth as independent ones.

    Of unlike weights that is (sum w)^2 / sum w^2 (L. Kish, *Survey Sampling*, 1965), and of rows that are
    alike within a cell the share that `Cells.alike` (features,) says. A count below zero, to which a falling
    line may come, is none.
    """
    used = weights != 0
    if not used.all():
        cells, weights = _taken(cells, used), weights[used]
    total, squares = float(weights @ cells.rows), float(weights**2 @ cells.rows)
    worth = (total**2 / squares if squares else 0.0) / alike
    scaled: dict[str, Counts] = {}
    for (name, counts), rows in zip(cells.by_feature(weights @ cells.counts).items(), worth, strict=True):
        known = np.maximum(counts, 0.0)
        found = known.sum()
        scaled[name] = known * (rows / found) if found else known
    return Sample(scaled, float(worth.max(initial=0.0)))


def _stacked(parts: Sequence[Cells]) -> Cells:
    last = parts[-1]
    middles = np.concatenate([part.middles for part in parts])
    counts = np.concatenate([part.counts for part in parts])
    return Cells(
        last.names,
        last.widths,
        max((part.length for part in parts if len(part)), default=last.length),
        middles,
        counts,
    )


def _taken(cells: Cells, mask: NDArray[np.bool_]) -> Cells:
    return Cells(cells.names, cells.widths, cells.length, cells.middles[mask], cells.counts[mask])


def _flat(cells: Cells, record: Record) -> Floats:
    counts = record.counts
    if not all(name in counts for name in cells.names):
        return cells.flat(counts)
    return np.fromiter(
        chain.from_iterable(counts[name] for name in cells.names), np.float64, sum(cells.widths)
    )
