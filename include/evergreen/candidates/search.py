"""The search space of a candidate: what `search` in a description means, and its form for Optuna."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from evergreen.errors import SpecError

if TYPE_CHECKING:
    import optuna

_FORM = "write [low, high], [low, high, log], [low, high, int] or {choices: [...]}"


@dataclass(frozen=True)
class Interval:
    """Numbers from `low` to `high`, both included, drawn on a logarithmic scale if `log`."""

    low: float
    high: float
    log: bool = False
    integer: bool = False

    @property
    def size(self) -> float:
        """How many values there are."""
        return self.high - self.low + 1 if self.integer else math.inf

    def values(self) -> tuple[Any, ...]:
        """All values of whole numbers."""
        return tuple(range(int(self.low), int(self.high) + 1))

    def suggest(self, trial: optuna.Trial, name: str) -> Any:
        """A value for one trial."""
        if self.integer:
            return trial.suggest_int(name, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)


@dataclass(frozen=True)
class Choices:
    """One of the values."""

    choices: tuple[Any, ...]

    @property
    def size(self) -> float:
        """How many values there are."""
        return len(self.choices)

    def values(self) -> tuple[Any, ...]:
        """All of them."""
        return self.choices

    def suggest(self, trial: optuna.Trial, name: str) -> Any:
        """A value for one trial."""
        # By position: Optuna accepts no lists or mappings as choices.
        return self.choices[trial.suggest_categorical(name, list(range(len(self.choices))))]


Dimension = Interval | Choices


def parse_search(where: str, search: Mapping[str, Any]) -> dict[str, Dimension]:
    """The dimensions of a candidate's `search`, by parameter; raises `SpecError` naming `where`."""
    return {name: _dimension(f"{where}.{name}", value) for name, value in search.items()}


def space_size(dimensions: Mapping[str, Dimension]) -> float:
    """How many settings there are in all; infinite if a parameter is a real number."""
    return math.prod(dimension.size for dimension in dimensions.values())


def every_setting(dimensions: Mapping[str, Dimension]) -> Iterator[dict[str, Any]]:
    """Each setting of a finite space once, in the order described."""
    for values in product(*(dimension.values() for dimension in dimensions.values())):
        yield dict(zip(dimensions, values, strict=True))


def _dimension(where: str, value: Any) -> Dimension:
    if isinstance(value, dict):
        if not value["choices"]:
            raise SpecError(f"{where}: no choices: {_FORM}")
        return Choices(tuple(value["choices"]))
    bounds, flags = value[:2], value[2:]
    numbers = all(isinstance(n, int | float) and not isinstance(n, bool) and math.isfinite(n) for n in bounds)
    if len(bounds) < 2 or not numbers or not set(flags) <= {"log", "int"}:
        raise SpecError(f"{where}: {value} is not a search: {_FORM}")
    low, high = bounds
    if low >= high or ("log" in flags and low <= 0):
        raise SpecError(f"{where}: {value}: low must be below high, and above 0 with 'log'")
    integer = "int" in flags
    if integer and (low != int(low) or high != int(high)):
        raise SpecError(f"{where}: {value}: with 'int' both bounds must be whole numbers")
    return Interval(low, high, "log" in flags, integer)
