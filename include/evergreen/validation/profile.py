"""Figures of a partition's columns: counts, mean, deviation, extremes, quantiles; one pass, flat memory.

Nulls and NaN are missing values, as in pandas and Great Expectations. Infinities are counted separately and
excluded from all other figures, so that they do not make a column's mean infinite and all figures fit JSON.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from evergreen.json_values import finite_or_none

QUANTILES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
SAMPLED = 100_000
"""Up to so many rows quantiles are exact; beyond, so many rows at most stand for all."""

# Multiples of the golden ratio, modulo 1, are spread evenly over any range and avoid the data's periods.
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class ColumnProfile:
    """One column. `nulls` counts nulls and NaN, `infinite` both infinities; the rest is of the finite values.

    Numbers (booleans are none) have `mean`, `std` (of a sample, n - 1; None below two values) and
    `quantiles` (`{"0.5": ...}`, interpolated linearly). Numbers, dates and times have `min` and `max`, dates
    and times as ISO text. Figures that a column does not have are None, or empty.
    """

    nulls: int
    mean: float | None = None
    std: float | None = None
    min: float | int | str | None = None
    max: float | int | str | None = None
    quantiles: Mapping[str, float] = field(default_factory=dict)
    infinite: int = 0


@dataclass(frozen=True)
class Profile:
    """How many rows a partition has, and its columns' figures by name."""

    rows: int
    columns: Mapping[str, ColumnProfile]

    def to_dict(self) -> dict[str, Any]:
        """The profile as JSON values, without figures that a column does not have."""
        bare = vars(ColumnProfile(-1))
        columns = {
            name: {key: value for key, value in vars(column).items() if value != bare[key]}
            for name, column in self.columns.items()
        }
        return {"rows": self.rows, "columns": columns}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Profile:
        """The profile that `to_dict` made; unknown figures are ignored."""
        known = ColumnProfile.__dataclass_fields__
        columns = {
            name: ColumnProfile(**{key: value for key, value in column.items() if key in known})
            for name, column in values["columns"].items()
        }
        return cls(values["rows"], columns)


class Profiler:
    """Takes a partition's batches, one after the other, and gives its profile.

    The division into batches affects only the last digits of `mean` and `std`. Memory: at most
    `SAMPLED` values of each column of numbers.
    """

    def __init__(self, schema: pa.Schema) -> None:
        """Profile batches of `schema`, whatever its columns are."""
        self._columns = [(field.name, _column(field.type)) for field in schema]
        self._sample = _Sample()

    def add(self, batch: pa.RecordBatch) -> None:
        """Add a batch; its columns are in the order of the schema."""
        self._sample.advance(batch.num_rows)
        for (_, column), values in zip(self._columns, batch.columns, strict=True):
            column.add(values, self._sample)

    def profile(self) -> Profile:
        """The figures of all batches so far."""
        return Profile(self._sample.rows, {name: column.profile() for name, column in self._columns})


class _Sample:
    """The sampled rows: all up to `SAMPLED` rows, above that half of them, a quarter, ..., evenly spread.

    The sample depends only on the number of rows.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.taken: NDArray[np.int64] | None = None  # of the newest batch; None for all of it
        self.kept: NDArray[np.bool_] | None = None  # of those held before it; None for all of them
        self._level = 0
        self._places = np.empty(0, np.uint64)

    def advance(self, rows: int) -> None:
        places = np.arange(self.rows, self.rows + rows, dtype=np.uint64) * _GOLDEN
        self.rows += rows
        level = max(0, (-(-self.rows // SAMPLED) - 1).bit_length())
        limit = np.uint64(2 ** (64 - level) - 1)
        self.taken = np.flatnonzero(places <= limit) if level else None
        self.kept = self._places <= limit if level != self._level else None
        self._level = level
        held = self._places if self.kept is None else self._places[self.kept]
        self._places = np.concatenate([held, places if self.taken is None else places[self.taken]])


class _Column:
    """A column of which only nulls are counted."""

    def __init__(self) -> None:
        self.nulls = 0

    def add(self, values: pa.Array, sample: _Sample) -> None:
        self.nulls += values.null_count

    def profile(self) -> ColumnProfile:
        return ColumnProfile(self.nulls)


class _Times(_Column):
    """Dates and times: nulls and extremes."""

    def __init__(self, kind: pa.DataType) -> None:
        super().__init__()
        self._kind = kind
        self._whole = pa.int32() if pa.types.is_date32(kind) else pa.int64()
        self._extremes: list[int] = []

    def add(self, values: pa.Array, sample: _Sample) -> None:
        super().add(values, sample)
        if values.null_count < len(values):
            found = pc.min_max(values.view(self._whole)).as_py()
            seen = [*self._extremes, found["min"], found["max"]]
            self._extremes = [min(seen), max(seen)]

    def profile(self) -> ColumnProfile:
        texts = [self._iso(moment) for moment in self._extremes]
        return ColumnProfile(self.nulls, min=texts[0], max=texts[1]) if texts else ColumnProfile(self.nulls)

    def _iso(self, moment: int) -> str | None:
        try:
            return str(pa.scalar(moment, self._whole).cast(self._kind).as_py().isoformat())
        except (OverflowError, ValueError):
            return None  # Arrow has years beyond the four digits of ISO 8601


class _Numbers(_Column):
    """Numbers: all figures. Mean and deviation are merged by batch (Chan, Golub and LeVeque, 1979)."""

    def __init__(self) -> None:
        super().__init__()
        self._count = self._infinite = 0
        self._mean = self._squares = 0.0
        self._min: float | int | None = None
        self._max: float | int | None = None
        self._sampled: list[NDArray[np.float64]] = []

    @np.errstate(over="ignore", invalid="ignore")
    def add(self, values: pa.Array, sample: _Sample) -> None:
        if pa.types.is_decimal(values.type):
            values = values.cast(pa.float64())
        numbers = values.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
        if sample.kept is not None:
            self._sampled = [np.concatenate(self._sampled)[sample.kept]] if self._sampled else []
        self._sampled.append(numbers.copy() if sample.taken is None else numbers[sample.taken])
        finite = numbers
        if not math.isfinite(numbers.sum()):
            infinite = int(np.isinf(numbers).sum())
            finite = numbers[np.isfinite(numbers)]
            self._infinite += infinite
            self.nulls += len(numbers) - len(finite) - infinite
        if len(finite):
            self._widen(values, finite)
            self._join(finite)

    def _widen(self, values: pa.Array, finite: NDArray[np.float64]) -> None:
        least: float | int
        most: float | int
        if pa.types.is_integer(values.type):  # exact; a float64 is not beyond 2**53
            found = pc.min_max(values)
            least, most = found["min"].as_py(), found["max"].as_py()
        else:
            least, most = float(finite.min()) + 0.0, float(finite.max()) + 0.0  # -0.0 is 0.0
        self._min = least if self._min is None else min(self._min, least)
        self._max = most if self._max is None else max(self._max, most)

    def _join(self, finite: NDArray[np.float64]) -> None:
        count, mean = len(finite), float(finite.mean())
        apart = finite - mean
        np.multiply(apart, apart, out=apart)  # np.dot wakes BLAS's threads, which a busy machine starves
        between = mean - self._mean
        total = self._count + count
        self._squares += float(apart.sum()) + between * between * self._count * count / total
        self._mean += between * count / total
        self._count = total

    def profile(self) -> ColumnProfile:
        if not self._count:
            return ColumnProfile(self.nulls, infinite=self._infinite)
        std = math.sqrt(self._squares / (self._count - 1)) if self._count > 1 else None
        return ColumnProfile(
            self.nulls,
            finite_or_none(self._mean),
            finite_or_none(std),
            self._min,
            self._max,
            self._quantiles(),
            self._infinite,
        )

    def _quantiles(self) -> dict[str, float]:
        sampled = np.concatenate(self._sampled)
        sampled = sampled[np.isfinite(sampled)]
        if not len(sampled):
            return {}
        # Half of each, so that the distance of two of them is finite, unless they are too small to halve.
        scale = 2.0 if np.abs(sampled).max() > 1.0 else 1.0
        found = np.quantile(sampled / scale, QUANTILES) * scale
        return {str(q): float(value) for q, value in zip(QUANTILES, found, strict=True)}


def figures_of(kind: pa.DataType) -> tuple[str, ...]:
    """The figures that a column of the type has, by the words that a limit by history has for them."""
    column = _column(kind)
    if isinstance(column, _Numbers):
        return ("mean", "std", "min", "max", "quantile", "null_share")
    return ("min", "max", "null_share") if isinstance(column, _Times) else ("null_share",)


def _column(kind: pa.DataType) -> _Column:
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _Numbers()
    is_time = pa.types.is_date(kind) or pa.types.is_timestamp(kind)
    return _Times(kind) if is_time else _Column()
