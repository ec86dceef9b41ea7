"""Intervals of a metric by resampling units of rows: partitions where there is time, else groups of rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from evergreen.json_values import finite_or_none, number_or_nan
from evergreen.metrics.sums import Sums
from evergreen.spec import ChampionRule

Floats = NDArray[np.float64]

# Above this number of units, neighbouring units are merged; independent rows are split into this many groups.
_MOST_UNITS = 1_000
# How many numbers a block of rounds may hold at a time.
_CHUNK = 2**21
FEWEST_PARTITIONS = 4
"""Fewer partitions than this, but for one alone, are cut into stretches of their rows."""
STRETCH_ROWS = 10
"""The fewest rows of a stretch."""

# About so many stretches in all.
_PARTS = 28
# The least share of rounds that must have a metric, and the limit at which a correlation is truncated.
_FINITE = 0.9
_MOST_CORRELATION = 0.9


@dataclass(frozen=True)
class Interval:
    """An interval of a metric, in the metric's own unit; NaN where there is none."""

    low: float
    high: float

    def to_dict(self) -> dict[str, float | None]:
        """The interval as JSON values: a number that is not finite becomes null."""
        return {"low": finite_or_none(self.low), "high": finite_or_none(self.high)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Interval:
        """The interval that `to_dict` wrote."""
        return cls(number_or_nan(content["low"]), number_or_nan(content["high"]))


@dataclass(frozen=True)
class Resampling:
    """What each of `rounds` draws, with replacement: `blocks` times `block` neighbours out of `units`.

    `unit` (n,) is the number of each row's unit. `ordered` means that the units are in the order of time. The
    draws are the same for every metric and every model, which makes a comparison paired. Where the units are
    stretches of few partitions, `whole` is the resampling of those partitions.
    """

    unit: NDArray[np.intp] = field(repr=False)
    units: int
    block: int
    ordered: bool
    rounds: int
    seed: int
    whole: Resampling | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls,
        units: NDArray[Any] | None,
        rows: int,
        rule: ChampionRule,
        seed: int,
        times: NDArray[Any] | None = None,
    ) -> Resampling:
        """The resampling a rule asks for: of `units` (rows,), positions in time, or of independent rows.

        Its block counts partitions, or days of hourly ones (see `Spec.champion_rule`).

        Only units that have rows count, and neighbours are those that follow one another among them. Two
        or three partitions are cut into stretches of rows that follow one another in `times` (rows,), by
        default in their order, unless the rule asks for blocks of several partitions.
        """
        if units is None:
            groups = min(rows, _MOST_UNITS)
            order = np.arange(rows)
            if rows > groups:
                order = np.random.default_rng([seed, 0]).permutation(rows) % groups
            return cls(order, groups, 1, False, rule.rounds, seed)
        known, unit = np.unique(units, return_inverse=True)
        if 1 < len(known) < FEWEST_PARTITIONS and rule.block.count == 1:
            whole = cls(unit, len(known), 1, True, rule.rounds, seed)
            unit, parts = _parts(unit, len(known), times)
            return whole if parts == len(known) else cls(unit, parts, 1, True, rule.rounds, seed, whole)
        merged = max(1, -(-len(known) // _MOST_UNITS))
        block = -(-rule.block.count // merged)
        return cls(unit // merged, -(-len(known) // merged), block, True, rule.rounds, seed)

    @property
    def blocks(self) -> int:
        """How many blocks a round draws."""
        return self.units // self.block

    @property
    def parts_of(self) -> int:
        """How many partitions the units are stretches of, 0 where they are whole ones or independent rows."""
        return 0 if self.whole is None else self.whole.units

    def counts(self) -> Iterator[Floats]:
        """How often each unit is in each round, some rounds at a time: (some, units).

        Moving blocks (Künsch 1989): each of the units - block + 1 stretches is as likely.
        """
        random = np.random.default_rng([self.seed, 1])
        starts = self.units - self.block + 1
        step = max(1, _CHUNK // self.units)
        for first in range(0, self.rounds, step):
            some = min(step, self.rounds - first)
            drawn = random.integers(0, starts, (some, self.blocks)) + np.arange(some)[:, None] * starts
            begun = np.bincount(drawn.ravel(), minlength=some * starts).reshape(some, starts)
            counts = np.zeros((some, self.units))
            for offset in range(self.block):
                counts[:, offset : offset + starts] += begun
            yield counts


def _parts(
    unit: NDArray[np.intp], partitions: int, times: NDArray[Any] | None
) -> tuple[NDArray[np.intp], int]:
    """Each row's stretch (n,) of its partition, in the order of time, and how many stretches there are."""
    order = np.lexsort((np.arange(len(unit)) if times is None else times, unit))
    most, parts = -(-_PARTS // partitions), 0
    found = np.empty(len(unit), dtype=np.intp)
    for places in np.split(order, np.cumsum(np.bincount(unit, minlength=partitions))[:-1]):
        count = min(max(len(places) // STRETCH_ROWS, 1), most)
        found[places] = parts + np.arange(len(places)) * count // len(places)
        parts += count
    return found, parts


@dataclass(frozen=True)
class Replicates:
    """A metric in each round (rounds,), and with each unit left out (units,) where the units are ordered."""

    drawn: Floats = field(repr=False)
    left_out: Floats = field(repr=False)


def replicates(resampling: Resampling, parts: Iterable[Sums]) -> Replicates:
    """The mean of the parts' metrics in every round; NaN where no part has one."""
    drawn: list[Floats] = []
    left_out: list[Floats] = []
    for part in parts:
        drawn.append(np.concatenate([part.metric(counts @ part.values) for counts in resampling.counts()]))
        if resampling.ordered:
            left_out.append(part.metric(part.values.sum(axis=0) - part.values))
    return Replicates(
        _mean(drawn, resampling.rounds), _mean(left_out, resampling.units if resampling.ordered else 0)
    )


def whole_if_partitions_differ(
    of: Callable[[Resampling], Replicates], resampling: Resampling
) -> tuple[Replicates, Resampling]:
    """What `of` finds of stretches, or of whole partitions if these differ by more than their stretches tell.

    Stretches of a partition share its weather or campaign: where that counts, they are not independent. By a
    one-way analysis of variance of the stretches' influences on the metric, partitions are taken for alike
    only if the ratio of the mean squares is at most its median: half as much as in Paull 1950, "On a
    preliminary test for pooling mean squares in the analysis of variance", The Annals of Mathematical
    Statistics 21, whose twice the median lets a few more through than the gate states.
    """
    found, whole = of(resampling), resampling.whole
    if whole is None:
        return found, resampling
    partition = np.empty(resampling.units, dtype=np.intp)
    partition[resampling.unit] = whole.unit
    influence = found.left_out.mean() - found.left_out
    stretches = np.bincount(partition)
    means = np.bincount(partition, influence) / stretches
    freedom = whole.units - 1, resampling.units - whole.units
    between = float(stretches @ means**2) / freedom[0]
    within = float(((influence - means[partition]) ** 2).sum()) / freedom[1]
    if between <= float(stats.f.median(*freedom)) * within:
        return found, resampling
    return of(whole), whole


def interval(estimate: float, found: Replicates, resampling: Resampling, confidence: float) -> Interval:
    """The two-sided interval around an estimate: Student's t times the bootstrap's standard error.

    Percentiles of the rounds would be too narrow where there are few units: they lack the factor
    sqrt(n / (n - 1)) and the wider quantiles of t (Hesterberg 2015, "What teachers should know about the
    bootstrap", The American Statistician 69). This interval has both, with the number of blocks as n. Where
    neighbouring units correlate more than the blocks account for, it is wider (`serial_variance`).

    NaN for fewer than two blocks, or if more than a tenth of the rounds have no metric.
    """
    blocks = resampling.blocks
    finite = found.drawn[np.isfinite(found.drawn)]
    if blocks < 2 or not math.isfinite(estimate) or len(finite) < max(2, _FINITE * len(found.drawn)):
        return Interval(math.nan, math.nan)
    drawn_units = blocks * resampling.block / resampling.units
    variance = float(np.var(finite, ddof=1)) * drawn_units * blocks / (blocks - 1)
    if resampling.ordered:
        variance = max(variance, serial_variance(found.left_out))
    reach = float(stats.t.ppf((1 + confidence) / 2, blocks - 1)) * math.sqrt(variance)
    return Interval(estimate - reach, estimate + reach)


def serial_variance(left_out: Floats) -> float:
    """The jackknife's variance of a metric, times (1 + r) / (1 - r) where units correlate by r in time.

    `left_out` (units,) are the metric's values without each of the units, in the order of time.
    r is the correlation of neighbouring units' influences, plus 1 / n to correct the bias of its estimate
    (Zwiers and von Storch 1995, "Taking serial correlation into account in tests of the mean", Journal of
    Climate 8). A negative one counts as none.
    """
    units, influence = len(left_out), _influence(left_out)
    squares = float(influence @ influence)
    if not math.isfinite(squares) or squares == 0:
        return 0.0
    return squares / (units * (units - 1)) * _inflation(influence, squares)


def equivalent_units(left_out: Floats) -> float:
    """How many independent units tell as much of a metric as these: n (1 - r) / (1 + r).

    The arguments and r are those of `serial_variance`, and so is the source.
    """
    influence = _influence(left_out)
    squares = float(influence @ influence)
    return len(left_out) / _inflation(influence, squares) if squares else float(len(left_out))


def _influence(left_out: Floats) -> Floats:
    influence: Floats = (len(left_out) - 1) * (left_out.mean() - left_out)
    return influence


def _inflation(influence: Floats, squares: float) -> float:
    """(1 + r) / (1 - r) for units with these influences, whose sum of squares is above 0."""
    lagged = float(influence[1:] @ influence[:-1]) / squares + 1 / len(influence)
    correlation = min(max(lagged, 0.0), _MOST_CORRELATION)
    return (1 + correlation) / (1 - correlation)


def _mean(parts: list[Floats], size: int) -> Floats:
    if not parts:
        return np.full(size, np.nan)
    values = np.stack(parts)
    known = np.isfinite(values)
    number = known.sum(axis=0)
    total, blank = np.where(known, values, 0).sum(axis=0), np.full(size, np.nan)
    found: Floats = np.divide(total, number, out=blank, where=number > 0)
    return found
