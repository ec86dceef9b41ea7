"""What a drift statistic is, and the registry of all there are.

A statistic says by itself what the rest of the project asks of one: a description may set its limit, a record
holds its figures, and signals, alerts and pages say it in its words. This module and those that define
statistics are read while Airflow parses DAG files: what needs numpy imports it inside a function.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

from pydantic import Field

from evergreen.numbers import ABSENT

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from evergreen.drift.columns import Columns, Kind

    Floats = npt.NDArray[np.float64]


class Limit(NamedTuple):
    """A key under `monitoring.drift`, of the statistic's name: its type, and its default or a `Field`."""

    type: Any
    default: Any


class Measured(NamedTuple):
    """What a statistic finds of n columns.

    `figures`, each (n,), go to the record under their names; NaN stands for none. `effect` (n,) is held
    against the limit, by default the figure that has the statistic's name. `p` (n,) is the probability of so
    large an effect if nothing changed, by default that of the test of the column's distribution.
    """

    figures: Mapping[str, Floats]
    effect: Floats | None = None
    p: Floats | None = None


def shown(figure: float | None) -> str:
    """A figure with two places; a hyphen for one that is missing, as records of older code have it."""
    return ABSENT if figure is None else f"{figure:.2f}"


@dataclass(frozen=True, kw_only=True)
class Statistic(ABC):
    """One number, or a few, that say how far the rows of a night lie from a reference.

    `name` is what a record and a description call it, `words` what a sentence does, and `short` what stands
    before a figure. One with a `limit` can call a column drifted; `source` says where it comes from.
    """

    name: str
    words: str
    short: str
    limit: Limit | None = None
    source: str = ""

    def told(self, found: Mapping[str, Any]) -> str:
        """A few words with the figures of one column, as its record has them."""
        return f"{self.short} {shown(found.get(self.name))}"

    def effect_in(self, found: Mapping[str, Any]) -> float | None:
        """What is held against the limit, from the figures of one column; None where there is none."""
        return found.get(self.name)


@dataclass(frozen=True, kw_only=True)
class ColumnStatistic(Statistic):
    """A statistic of each column by itself, from the counts of its rows.

    `kinds` are the kinds of column it is for. `aspect` is what of a column drifted where the effect is above
    the limit, by default the statistic's own name. `tests` marks the test of a column's distribution, of
    which each kind of column has one.
    """

    kinds: tuple[Kind, ...] = ("number", "category")
    aspect: str = ""
    tests: bool = False

    @property
    def why(self) -> str:
        """What a record calls the aspect."""
        return self.aspect or self.name

    @abstractmethod
    def measure(self, columns: Columns) -> Measured:
        """What it finds of columns of one of its kinds; n are at least one."""


STATISTICS: dict[str, Statistic] = {}
"""Every statistic by its name. The first with a limit of an aspect speaks for it."""

AnyStatistic = TypeVar("AnyStatistic", bound=Statistic)


def register(statistic: AnyStatistic) -> AnyStatistic:
    """Add a statistic to those there are.

    Raises `ValueError` for a name that is taken, and for a second test of a kind of column.
    """
    if statistic.name in STATISTICS:
        raise ValueError(f"statistic '{statistic.name}': the name is taken, choose another")
    if isinstance(statistic, ColumnStatistic) and statistic.tests:
        for other in column_statistics():
            if other.tests and set(other.kinds) & set(statistic.kinds):
                raise ValueError(f"statistic '{statistic.name}': '{other.name}' tests these columns already")
    STATISTICS[statistic.name] = statistic
    return statistic


def column_statistics() -> tuple[ColumnStatistic, ...]:
    """The statistics of single columns."""
    return tuple(one for one in STATISTICS.values() if isinstance(one, ColumnStatistic))


def test_of(kind: Kind) -> ColumnStatistic:
    """The test of whether chance explains how the distribution of a column of this kind has moved."""
    return next(one for one in column_statistics() if one.tests and kind in one.kinds)


def limits() -> dict[str, tuple[Any, Any]]:
    """The keys under `monitoring.drift`: of each statistic with a limit its type and default."""
    return {one.name: _key(one, one.limit) for one in STATISTICS.values() if one.limit is not None}


def _key(of: Statistic, limit: Limit) -> tuple[Any, Any]:
    return Annotated[limit.type, Field(description=f"The limit of the {of.words}.")], limit.default


def limited() -> tuple[ColumnStatistic, ...]:
    """The statistics by which a column can be called drifted."""
    return tuple(one for one in column_statistics() if one.limit is not None)


def told(found: Mapping[str, Any]) -> str:
    """A few words on a column: on the first aspect of it that drifted, or else on its distribution."""
    why = next(iter(found.get("why") or ()), None)
    return next((one for one in limited() if one.why == why), limited()[0]).told(found)


def most_drifted(drift: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The columns that drifted, those whose distribution moved most first, and a few words on each.

    `drift` is that of a record.
    """
    first = limited()[0].name
    drifted = {name: found for name, found in drift.items() if found["drifted"]}
    ordered = sorted(drifted, key=lambda name: -float(drifted[name].get(first) or 0))
    return {name: told(drifted[name]) for name in ordered}
