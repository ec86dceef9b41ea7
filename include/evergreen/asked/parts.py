"""The features of parts of a partition, held against those of the whole. Pure."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evergreen.asked.finding import Difference
from evergreen.errors import one_line
from evergreen.features.build import build_features, in_order, rows_to_score
from evergreen.lake import PARTITION
from evergreen.spec import Spec

Places = NDArray[np.intp]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Whole:
    """A partition with its look-back, as scoring reads it: `seen` is in order, `own` are its own rows in it.

    A place is the number of a row among the partition's own, from 0. `widened` are the columns of whole
    numbers or booleans that pandas has in a wider type, as some of the window's are missing.
    """

    spec: Spec
    partition: str
    seen: pd.DataFrame = field(repr=False)
    own: Places = field(repr=False)
    widened: tuple[str, ...] = ()

    @classmethod
    def of(cls, spec: Spec, rows: pd.DataFrame, partition: str, widened: tuple[str, ...]) -> Whole:
        """The partition among raw rows, which hold its look-back."""
        seen = in_order(spec, rows_to_score(spec, rows, partition)).reset_index(drop=True)
        own = np.flatnonzero((seen[PARTITION] == partition).to_numpy())
        return cls(spec, partition, seen, own, widened)

    @property
    def rows(self) -> pd.DataFrame:
        """The partition's own rows."""
        return self.seen.iloc[self.own]

    @cached_property
    def features(self) -> pd.DataFrame:
        """The features of the partition's own rows, built together."""
        return self._built(np.arange(len(self.own)))

    def difference(self, places: Places, sent: str) -> Difference | None:
        """What is different of the features of these rows without the partition's others; None if nothing.

        `sent` are the rows in words. What a feature function raises is a difference too.
        """
        try:
            return self._difference(places, sent)
        except Exception as error:  # noqa: BLE001 - a user's function may raise anything
            return Difference(sent, self.partition, len(self.own), error=_named(error))

    def _difference(self, places: Places, sent: str) -> Difference | None:
        rows, whole, apart = len(self.own), self.features, self._built(places)
        if list(apart.columns) != list(whole.columns):
            return Difference(sent, self.partition, rows, error="other columns")
        for name in whole.columns:
            left, right = apart[name], whole[name].iloc[places]
            unequal = ~_equal(left, right)
            if unequal.any():
                at = int(np.argmax(unequal))
                values = (_plain(left.iloc[at]), _plain(right.iloc[at]))
                return Difference(sent, self.partition, rows, int(places[at]) + 1, str(name), *values)
        return None

    def _built(self, places: Places) -> pd.DataFrame:
        there = np.ones(len(self.seen), dtype=bool)
        there[self.own] = False
        there[self.own[places]] = True
        frame = self._as_read(self.seen[there])
        with warnings.catch_warnings():
            # Of fewer rows than a function usually gets, numpy and pandas may warn: that is no news.
            warnings.simplefilter("ignore")
            features = build_features(self.spec, frame)
        return features[(frame[PARTITION] == self.partition).to_numpy()]

    def _as_read(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows in the types that a frame of just these has: whole numbers, where none is missing."""
        kinds = {
            name: bool if pd.api.types.is_object_dtype(frame[name]) else "int64"
            for name in self.widened
            if name in frame and not frame[name].isna().any()
        }
        return frame.astype(kinds) if kinds else frame


def widened(rows: pd.DataFrame) -> tuple[str, ...]:
    """The columns of whole numbers or booleans that pandas has in a wider type, as some are missing."""
    found = []
    for name in rows.columns[rows.isna().any()]:
        known = rows[name].dropna()
        if pd.api.types.is_float_dtype(known):
            if len(known) and (known % 1 == 0).all() and (known.abs() < 2**53).all():
                found.append(str(name))
        elif pd.api.types.is_object_dtype(known) and pd.api.types.infer_dtype(known) == "boolean":
            found.append(str(name))
    return tuple(found)


def _equal(left: pd.Series, right: pd.Series) -> Mask:
    """Which values are the same to the last bit, two missing ones too; types may differ."""
    if all(pd.api.types.is_numeric_dtype(one) for one in (left, right)):
        if all(pd.api.types.is_integer_dtype(one) for one in (left, right)):
            return np.asarray(left.to_numpy() == right.to_numpy())
        one, other = (side.to_numpy(float, na_value=np.nan) for side in (left, right))
        return np.asarray((one == other) | (np.isnan(one) & np.isnan(other)))
    missing = left.isna().to_numpy(), right.isna().to_numpy()
    pairs = zip(left.tolist(), right.tolist(), *missing, strict=True)
    return np.array([(a and b) or (not a and not b and _same(x, y)) for x, y, a, b in pairs], dtype=bool)


def _same(one: Any, other: Any) -> bool:
    return bool(np.array_equal(one, other)) if isinstance(one, Sequence | np.ndarray) else bool(one == other)


def _plain(value: Any) -> Any:
    """The value as a JSON value; None if it is missing."""
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, float):
        return plain if math.isfinite(plain) else None if math.isnan(plain) else str(plain)
    return plain if plain is None or isinstance(plain, bool | int | str) else str(plain)


def _named(error: Exception) -> str:
    # Of what a user's function says, only the kind is kept: it may repeat values of rows.
    return type(error.__cause__).__name__ if error.__cause__ else one_line(error, 120)
