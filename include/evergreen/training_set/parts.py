"""The rows of a training window in parts, so that memory need not hold all of them at once. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evergreen.calendar import SNAPSHOT, Length
from evergreen.features.functions import places
from evergreen.lake import PARTITION
from evergreen.spec import Spec
from evergreen.training_set.window import Change, window_start

RECENT = 100_000
_LEAST = Length(1, "day")


@dataclass(frozen=True)
class Part:
    """Raw rows of the partitions from `first` on, and those of the look-back before it."""

    first: str
    rows: pd.DataFrame = field(repr=False)


@dataclass(frozen=True)
class Stretch:
    """The partitions from `first` to `last`, whose features look back to `back`; all included."""

    back: str
    first: str
    last: str


def by_row(spec: Spec) -> bool:
    """Whether the features of a row are columns of it alone: then any rows may be a part."""
    return not places(spec) and not spec.features.lookups and not spec.labels


def stretches(spec: Spec, as_of: str, change: Change | None) -> list[Stretch]:
    """The partitions of the window before `as_of` in stretches, oldest first.

    Each is as long as its look-back, so that no row is read more than about twice, and at least a day.
    """
    calendar = spec.calendar
    if not calendar.has_time:
        return [Stretch(SNAPSHOT, SNAPSHOT, SNAPSHOT)]
    found, start, end = list[Stretch](), window_start(spec, as_of, change), as_of
    while end > start:
        reach = calendar.distance(spec.looks_back_to(end), end)
        length = max(1, reach, calendar.count(_LEAST, before=end))
        first = max(start, calendar.shift(end, -length))
        found.append(Stretch(spec.looks_back_to(first), first, calendar.shift(end, -1)))
        end = first
    return found[::-1]


def parts_in(spec: Spec, rows: pd.DataFrame, as_of: str, change: Change | None) -> Iterator[Part]:
    """The parts of rows that memory holds, which may be more than those of the window."""
    wanted = stretches(spec, as_of, change)
    if by_row(spec):
        wanted = [Stretch(wanted[0].first, wanted[0].first, wanted[-1].last)] if wanted else []
    ordered = rows.sort_values(PARTITION, kind="stable")
    keys = ordered[PARTITION].to_numpy(object)
    for one in wanted:
        begin, end = np.searchsorted(keys, one.back), np.searchsorted(keys, one.last, side="right")
        yield Part(one.first, ordered.iloc[begin:end])


class Newest:
    """The newest partitions with their look-back: as many as `RECENT` rows ask for, one part at least.

    `shown` are the rows of the newest part and its look-back as functions got them, and `features` theirs.
    """

    def __init__(self) -> None:
        self.shown, self.features = pd.DataFrame(), pd.DataFrame()
        self._parts = deque[tuple[pd.DataFrame, NDArray[np.bool_]]]()

    def __bool__(self) -> bool:
        return bool(self._parts)

    def add(
        self, seen: pd.DataFrame, own: NDArray[np.bool_], shown: pd.DataFrame, features: pd.DataFrame
    ) -> None:
        """The next part: its rows (n,), which of them are its `own`, and what functions got and gave."""
        self.shown, self.features = shown, features
        self._parts.append((seen, own))
        while sum(len(rows) for rows, _ in islice(self._parts, 1, None)) >= RECENT:
            self._parts.popleft()

    def rows(self) -> pd.DataFrame | None:
        """All of these rows, in order; None where there was no part."""
        if not self._parts:
            return None
        (first, _), *others = self._parts
        return pd.concat([first, *(rows[own] for rows, own in others)], ignore_index=True)
