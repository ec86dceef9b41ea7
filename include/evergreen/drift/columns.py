"""The rows of several columns on both sides of a comparison, counted in the same bins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from evergreen.drift import distances
from evergreen.drift.binning import Binning

Kind = Literal["number", "category"]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Side:
    """Counts of n columns in independent rows.

    `values` (n, bins) are those of the values that training could have held; a column with fewer bins has
    empty ones. The others are (n,): rows without a value (`missing`), with a value never seen (`unseen`),
    with any value (`present`), and all (`rows`).
    """

    values: Floats
    missing: Floats
    unseen: Floats
    present: Floats
    rows: Floats

    @classmethod
    def of(cls, counts: Sequence[npt.ArrayLike], effective: float) -> Side:
        """The counts of columns, as `Binning.count` gives them, worth `effective` independent rows."""
        parts = [np.asarray(part, dtype=float) for part in counts]
        table = np.zeros((len(parts), max(map(len, parts))))
        for row, part in zip(table, parts, strict=True):
            row[: len(part)] = part
        most = table.sum(axis=1).max()
        table *= effective / most if most else 0.0
        every, ends = np.arange(len(parts)), np.array([len(part) for part in parts])
        missing, unseen = table[every, ends - 2], table[every, ends - 1]
        table[every, ends - 2] = table[every, ends - 1] = 0.0
        present = table.sum(axis=1) + unseen
        return cls(table[:, :-2], missing, unseen, present, present + missing)

    def but(self, other: Side, values: npt.NDArray[np.bool_], all_: npt.NDArray[np.bool_]) -> Side:
        """The same with the values of another side in some columns, and with all of it in others (n,)."""
        return Side(
            np.where((values | all_)[:, None], other.values, self.values),
            np.where(all_, other.missing, self.missing),
            np.where(values | all_, other.unseen, self.unseen),
            np.where(values | all_, other.present, self.present),
            np.where(all_, other.rows, self.rows),
        )

    def at(self, places: npt.NDArray[np.intp]) -> Side:
        """Some of the columns."""
        return Side(*(part[places] for part in vars(self).values()))


@dataclass(frozen=True)
class Columns:
    """Columns of one kind, the reference's rows `before` and the night's rows `now`.

    `ends` (n,) are the last bins of numbers, of what lies above all training values; what lies below is in
    the first. `places` (n,) are where they stand among all that are compared. `centres` (n, bins) are the
    means of the bins and `scales` (n,) the standard deviations of the training values, NaN where there is
    none; both for numbers alone. `new` (n,) is the share of values never seen that further rows like those of
    training would have.
    """

    kind: Kind
    places: npt.NDArray[np.intp]
    before: Side
    now: Side
    centres: Floats
    scales: Floats
    new: Floats
    ends: npt.NDArray[np.intp]

    def beyond(self, side: Side) -> Floats:
        """A side's rows (n,) below and above all training values; none of categories."""
        if self.kind != "number":
            return np.zeros(len(self.places))
        above = side.values[np.arange(len(self.places)), self.ends]
        return np.where(self.ends > 0, side.values[:, 0] + above, 0.0)

    @cached_property
    def merged(self) -> tuple[Floats, Floats]:
        """Both sides' values in few bins: about ten of a number; of a category those that are not rare."""
        merge = distances.in_parts if self.kind == "number" else distances.without_rare
        return merge(self.before.values, self.now.values)


def by_kind(made: Sequence[Binning], before: Side, now: Side) -> Iterator[Columns]:
    """The columns of each kind that there is, from those of all."""
    kinds = np.array([one.kind for one in made])
    for kind in dict.fromkeys(one.kind for one in made):
        places = np.flatnonzero(kinds == kind)
        chosen = [one for one in made if one.kind == kind]
        sides = before.at(places), now.at(places)
        centres, scales = np.empty((len(places), 0)), np.full(len(places), np.nan)
        if kind == "number":
            wide = max(len(one.centres) for one in chosen)
            # A bin that is not there lies where the last one does: no distance is added.
            centres = np.array([one.centres + one.centres[-1:] * (wide - len(one.centres)) for one in chosen])
            scales = np.array([one.scale or np.nan for one in chosen])
            sides = _narrow(sides[0], wide), _narrow(sides[1], wide)
        new, ends = (np.array(of) for of in zip(*((one.new, len(one.edges)) for one in chosen), strict=True))
        yield Columns(kind, places, *sides, centres, scales, new, ends)


def _narrow(side: Side, wide: int) -> Side:
    return Side(**{**vars(side), "values": side.values[:, :wide]})


def share(part: Floats, of: Floats) -> Floats:
    """Shares (n,) of rows, 0 where there are none."""
    return np.divide(part, of, out=np.zeros_like(part), where=of > 0)
