"""Which rows a training draws where its description asks for a sample. Pure.

Each row has a lot, by its key and the seed alone, and the lowest are drawn. So the same rows are drawn
whatever is read with them and in whatever order, and most of them again by the next training.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evergreen.spec import Spec

Lots = NDArray[np.uint64]

_ALL = 2**64
_WHOLE = 2.0**62  # a float below it that has no decimals is the whole number


def lots(spec: Spec, rows: pd.DataFrame) -> Lots:
    """The lot (n,) of each row.

    They are others than those that hold out rows of a snapshot: drawn by the same ones, all of a sample would
    be held out.
    """
    # Mixed twice, as no key is: else row 1 by seed 0 would have the lot of row 0 by seed 1.
    found = _mixed(_mixed(np.full(len(rows), spec.training.seed % _ALL, dtype=np.uint64)))
    for name in spec.keys:
        found = _mixed(found ^ _hashed(rows[name]))
    return found


class _Part(NamedTuple):
    """Rows, their features and their lots, aligned by position."""

    rows: pd.DataFrame
    features: pd.DataFrame
    lots: Lots

    def taken(self, positions: NDArray[np.intp]) -> _Part:
        return _Part(self.rows.iloc[positions], self.features.iloc[positions], self.lots[positions])


class Draw:
    """The rows with the lowest lots of all that were added, in their order. It holds at most twice as many.

    `size` is a number of rows, or the share of all rows that is drawn. `offered` is how many were added.
    """

    def __init__(self, size: int | float) -> None:
        self._most = size if isinstance(size, int) else None
        self._border = np.uint64((_ALL if isinstance(size, int) else int(size * _ALL)) - 1)
        self._parts: list[_Part] = []
        self._kept = 0
        self.offered = 0

    def add(self, rows: pd.DataFrame, features: pd.DataFrame, lots: Lots) -> None:
        """Further rows with their features and lots, aligned by position."""
        self.offered += len(rows)
        low = np.flatnonzero(lots <= self._border)
        if len(low):
            self._parts.append(_Part(rows, features, lots).taken(low))
            self._kept += len(low)
        if self._most is not None and self._kept > 2 * self._most:
            self._parts = [self._lowest(self._most)]

    def drawn(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The rows and their features, at least one; the indices are new."""
        found = self._lowest(self._most or self._kept)
        return found.rows.reset_index(drop=True), found.features.reset_index(drop=True)

    @property
    def empty(self) -> bool:
        """Whether no row is drawn."""
        return not self._kept

    def _lowest(self, most: int) -> _Part:
        rows, features, numbers = zip(*self._parts, strict=True)
        self._parts.clear()  # memory need not hold both
        joined = _Part(pd.concat(rows), pd.concat(features), np.concatenate(numbers))
        del rows, features
        if len(joined.lots) <= most:
            return joined
        # Of rows with one key, which have one lot, the first ones are drawn.
        lowest = np.argsort(joined.lots, kind="stable")[:most]
        self._border, self._kept = joined.lots[lowest[-1]], most
        return joined.taken(np.sort(lowest))


def _hashed(values: pd.Series) -> Lots:
    """A hash (n,) of each value: of 5 the same as of 5.0, which it is where others are missing."""
    types = pd.api.types
    if types.is_datetime64_any_dtype(values):
        values = values.dt.as_unit("us").astype("int64")
    elif types.is_bool_dtype(values):
        values = values.astype("int64")
    if types.is_integer_dtype(values) and not values.hasnans:
        return _of_numbers(values.to_numpy("int64", copy=False))
    if types.is_numeric_dtype(values):
        numbers = values.to_numpy("float64", na_value=np.nan)
        whole = (np.abs(numbers) < _WHOLE) & (np.trunc(numbers) == numbers)
        as_whole = np.where(whole, numbers, 0).astype("int64")
        return _of_numbers(np.where(whole, as_whole, numbers.view("int64")))
    return np.asarray(pd.util.hash_pandas_object(values, index=False), dtype=np.uint64)


def _of_numbers(values: NDArray[np.int64]) -> Lots:
    return _mixed(values.view(np.uint64))


def _mixed(values: Lots) -> Lots:
    """Each number scattered over all of 64 bits: the finalizer of SplitMix64 (Steele, Lea and Flood 2014)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
