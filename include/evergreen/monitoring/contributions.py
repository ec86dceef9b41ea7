"""Which features moved the predictions: what they contributed on the hold-out, held against each night's.

Both sides are what is published: the leading contributions of each row. A feature that is not among the
leading ones of a row has no value there, so that it comes and goes shows as a share of missing values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from evergreen.calendar import Calendar
from evergreen.contributions.contributions import FEATURE, VALUE, Contributions
from evergreen.drift.binning import Binning, Counts, count_frame
from evergreen.drift.unvaried import binnings_of
from evergreen.monitoring.cells import Cells, count_cells

MOST = 20
"""Of how many features the contributions are kept, the largest on average."""


@dataclass(frozen=True)
class Explained:
    """What features contributed where the version's promise was measured.

    `most` is how many of each row are published. `binnings` and `cells` are their bins and counts, under
    `named(feature)`; `means` are the mean contributions over all rows by feature, in the unit of the margin.
    """

    most: int
    binnings: dict[str, Binning]
    cells: Cells = field(repr=False)
    means: dict[str, float]

    @classmethod
    def of(cls, calendar: Calendar, found: Contributions, most: int, partitions: pd.Series) -> Explained:
        """The contributions to n predictions; `partitions` (n,) are the keys of the rows."""
        sizes = np.abs(found.values).mean(axis=0)
        largest = sorted(range(len(found.names)), key=lambda place: (-sizes[place], found.names[place]))[
            :MOST
        ]
        frame = _frame(found.leading(most), [found.names[place] for place in largest], most)
        binnings = binnings_of(frame.rename(columns=named))
        cells = count_cells(calendar, binnings, frame.rename(columns=named), partitions)
        return cls(most, binnings, cells, _means(frame))

    def counts(self, published: Iterable[Any]) -> tuple[dict[str, Counts], dict[str, float]] | None:
        """The counts of a night's published contributions in the bins, and how far each feature's mean moved.

        None where they are not published for every row, or fewer of each row than on the hold-out.
        """
        rows = list(published)
        if not rows or any(row is None for row in rows):
            return None
        if min(map(len, rows)) < min(self.most, len(self.means)):
            return None
        frame = _frame(rows, list(self.means), self.most)
        moved = {name: mean - self.means[name] for name, mean in _means(frame).items()}
        return count_frame(self.binnings, frame.rename(columns=named)), moved

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "most": self.most,
            "binnings": {name: made.to_dict() for name, made in self.binnings.items()},
            "cells": self.cells.to_dict(),
            "means": self.means,
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Explained:
        """What `to_dict` gave."""
        binnings = {name: Binning.from_dict(made) for name, made in plain["binnings"].items()}
        return cls(plain["most"], binnings, Cells.from_dict(plain["cells"]), plain["means"])


def named(feature: str) -> str:
    """What the contributions of a feature are called among a record's counts."""
    return f"(contribution) {feature}"


def _frame(rows: Sequence[Sequence[Mapping[str, Any]]], names: Sequence[str], most: int) -> pd.DataFrame:
    """The contributions (n, features), NaN where a feature is not among the `most` leading ones of a row."""
    place = {name: number for number, name in enumerate(names)}
    values = np.full((len(rows), len(names)), np.nan)
    for number, row in enumerate(rows):
        for one in row[:most]:
            if one[FEATURE] in place:
                values[number, place[one[FEATURE]]] = one[VALUE]
    return pd.DataFrame(values, columns=list(names))


def _means(frame: pd.DataFrame) -> dict[str, float]:
    return {str(name): float(values.fillna(0.0).mean()) for name, values in frame.items()}
