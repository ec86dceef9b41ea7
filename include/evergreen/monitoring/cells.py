"""Counts of the training window by stretches of time: what a season can be picked from later.

A stretch is a partition, of an hourly pipeline a day. Where that would make more than `NUMBERS` numbers, or a
window of very many days, stretches are a week or four weeks long, and at last the whole window is one.
"""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.types import is_complex_dtype, is_numeric_dtype

from evergreen.calendar import WEEK, Calendar
from evergreen.drift.binning import Binning, Counts

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.intp]

MOST = 1_100  # stretches: three years of days
NUMBERS = 2_000_000  # about 1.5 MB as JSON at the very most
MONTH = 28  # days
FEWEST = 6  # cells with neighbours; fewer do not say how much alike the rows of one are


@dataclass(frozen=True)
class Cells:
    """Rows by stretch of time (n cells), in the bins of all features side by side.

    `middles` (n,) are the middles of the stretches in days (that of 0001-01-01 is 1.5) and `length` is how
    long each is, in days; a snapshot has one cell and no time. `counts` (n, bins) are whole numbers, `names`
    and `widths` the features and how many bins each has.
    """

    names: tuple[str, ...]
    widths: tuple[int, ...]
    length: float
    middles: Floats = field(repr=False)
    counts: Floats = field(repr=False)

    def __len__(self) -> int:
        return len(self.middles)

    @cached_property
    def rows(self) -> Floats:
        """How many rows each cell holds (n,); every feature counts all of them."""
        own: Floats = self.counts[:, : self.widths[0]].sum(axis=1) if self.widths else np.zeros(len(self))
        return own

    @cached_property
    def alike(self) -> Floats:
        """How many rows of one cell are worth a single independent one, at least 1, by feature (features,).

        Rows of a day share its weather. The factor is how much more the shares of a cell's rows up to each
        bin differ from those of its neighbours than chance lets expect, on average: a design effect as of
        J. N. K. Rao and A. J. Scott, "The analysis of categorical data from complex sample surveys", *Journal
        of the American Statistical Association* 76, 1981. The neighbours are the days a week before and a
        week after, together, so that neither the weekday nor a season's slope counts; where the window is too
        short for that, or cells are not days, those next to it.
        """
        before, own, after = self._neighbours()
        if len(own) < FEWEST:
            return np.ones(len(self.names))
        n, m = self.rows[own, np.newaxis], (self.rows[before] + self.rows[after])[:, np.newaxis]
        factors = []
        for part in np.split(self.counts, np.cumsum(self.widths)[:-1], axis=1):
            up_to = np.cumsum(part, axis=1)[:, :-1]
            a, b = up_to[own], up_to[before] + up_to[after]
            share = (a + b) / (n + m)
            used = (share > 0) & (share < 1)
            chance = share * (1 - share) * (1 / n + 1 / m)
            statistic = np.divide((a / n - b / m) ** 2, chance, out=np.zeros_like(share), where=used).sum()
            # No statistic can exceed the rows: that of few clusters of equal ones would come out too large.
            expected = used.sum() + statistic / np.mean(n + m)
            factors.append(max(statistic / expected, 1.0) if expected else 1.0)
        return np.array(factors)

    def _neighbours(self) -> tuple[Whole, Whole, Whole]:
        """Cells with the two that they are compared with, the one before and the one after."""
        filled = np.flatnonzero(self.rows > 0)
        if self.length == 1:
            place = {middle: number for number, middle in zip(filled, self.middles[filled], strict=True)}
            weeks = [
                (place[middle - WEEK], number, place[middle + WEEK])
                for middle, number in place.items()
                if middle - WEEK in place and middle + WEEK in place
            ]
            if len(weeks) >= FEWEST:
                before, own, after = np.array(weeks).T
                return before, own, after
        return filled[:-2], filled[1:-1], filled[2:]

    def flat(self, counts: Mapping[str, Any]) -> Floats:
        """Counts by feature as one row of `counts`; a feature that is not there has no rows."""
        parts = [
            counts[name] if name in counts else np.zeros(width)
            for name, width in zip(self.names, self.widths, strict=True)
        ]
        return np.concatenate(parts, dtype=np.float64, casting="unsafe") if parts else np.zeros(0)

    def by_feature(self, flat: Floats) -> dict[str, Counts]:
        """One row of `counts`, (bins,), by feature."""
        ends = np.cumsum(self.widths)
        return {
            name: flat[end - width : end]
            for name, width, end in zip(self.names, self.widths, ends, strict=True)
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `counts` are those of `_packed`."""
        return {
            "features": dict(zip(self.names, self.widths, strict=True)),
            "length": self.length,
            "middles": self.middles.tolist(),
            "counts": _packed(self.counts),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Cells:
        """What `to_dict` gave."""
        names, widths = tuple(plain["features"]), tuple(plain["features"].values())
        middles = np.array(plain["middles"], dtype=np.float64)
        counts = _unpacked(plain["counts"]).reshape(len(middles), sum(widths))
        return cls(names, widths, plain["length"], middles, counts)


def count_cells(
    calendar: Calendar, binnings: Mapping[str, Binning], frame: pd.DataFrame, partitions: pd.Series
) -> Cells:
    """The rows of a frame (n, features) by stretch of time; `partitions` (n,) are the keys of the rows."""
    widths = tuple(len(made) for made in binnings.values())
    codes, keys = pd.factorize(partitions, sort=True)
    middles = np.array([calendar.middle(key) for key in keys])
    length, starts = _stretches(calendar, middles, sum(widths))
    firsts, cell_of = np.unique(starts, return_inverse=True)
    cell = cell_of[codes]
    counted = [
        _counted(made, frame[name].reset_index(drop=True), cell, len(firsts))
        for name, made in binnings.items()
    ]
    counts = np.concatenate(counted, axis=1) if counted else np.zeros((len(firsts), 0))
    return Cells(tuple(binnings), widths, length, firsts + length / 2, counts)


def _stretches(calendar: Calendar, middles: Floats, bins: int) -> tuple[float, Floats]:
    """The length of the cells and where that of each partition starts, in days."""
    if not calendar.has_time:
        return 0.0, np.zeros(len(middles))
    allowed = min(MOST, NUMBERS // max(bins, 1))
    own = calendar.mean_days
    tried: list[tuple[float, Callable[[Floats], Floats]]] = [
        *([(own, lambda at: at - own / 2)] if own >= 1 else []),
        *((float(days), _blocks(days)) for days in (1, WEEK, MONTH) if days > own),
    ]
    for length, start_of in tried:
        starts = start_of(middles)
        if len(np.unique(starts)) <= allowed:
            return length, starts
    first, last = middles.min() - own / 2, middles.max() + own / 2
    return float(last - first), np.full(len(middles), first)


def _blocks(days: int) -> Callable[[Floats], Floats]:
    # Day 1 was a Monday, so weeks start with one.
    return lambda at: np.floor((at - 1) / days) * days + 1


def _counted(made: Binning, values: pd.Series, cell: Whole, cells: int) -> Floats:
    """What `made.count` gives for the rows of each cell, (cells, len(made))."""
    width = len(made)
    if made.kind == "number" and is_numeric_dtype(values) and not is_complex_dtype(values):
        # All cells at once: a year of days, each counted alone, would take as long as a small model's fit.
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        place = np.searchsorted(np.array(made.edges), numbers, side="left")
        place[~made.known(numbers) if made.discrete else np.isinf(numbers)] = width - 1
        place[values.isna().to_numpy()] = width - 2
        found = np.bincount(cell * width + place, minlength=cells * width)
        return found.reshape(cells, width).astype(np.float64)
    counts = np.zeros((cells, width))
    order = np.argsort(cell, kind="stable")
    ends = np.cumsum(np.bincount(cell, minlength=cells))
    for number, rows in enumerate(np.split(order, ends[:-1])):
        counts[number] = made.count(values.iloc[rows])
    return counts


def _packed(counts: Floats) -> str:
    # A day has few rows in a bin: byte by byte of all counts, deflated, they take a tenth of their digits.
    raw = np.ascontiguousarray(counts.astype("<u4")).view(np.uint8).reshape(-1, 4)
    return b64encode(zlib.compress(raw.T.tobytes(), 6)).decode()


def _unpacked(packed: str) -> Floats:
    raw = np.frombuffer(zlib.decompress(b64decode(packed)), dtype=np.uint8).reshape(4, -1)
    return np.ascontiguousarray(raw.T).view("<u4").ravel().astype(np.float64)
