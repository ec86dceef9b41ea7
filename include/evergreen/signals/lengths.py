"""The lengths of monitoring, and those that each grain has by default: see `evergreen.calendar.defaults`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import TypeAdapter

from evergreen.calendar import Grain, Length
from evergreen.calendar.defaults import DEFAULT_LENGTHS
from evergreen.units import RetrainBudget

_BUDGET: TypeAdapter[RetrainBudget] = TypeAdapter(RetrainBudget)


@dataclass(frozen=True)
class Lengths:
    """The lengths of monitoring, by the names of their keys.

    Of `monitoring.retrain`: `budget` and `half_open` (its `cooldown` follows from the training window
    instead, see `Spec.cooldown`); `over` of `performance`, `trailing` of `drift`, `missing` and `age` of
    `health` (None: a champion is never too old).
    """

    budget: RetrainBudget
    half_open: Length
    over: Length
    trailing: Length
    missing: Length
    age: Length | None = None


def _read(budget: str, **lengths: str) -> Lengths:
    return Lengths(
        budget=_BUDGET.validate_python(budget), **{key: Length.read(text) for key, text in lengths.items()}
    )


DEFAULTS: Mapping[Grain, Lengths] = {grain: _read(**vars(row)) for grain, row in DEFAULT_LENGTHS.items()}
"""Those of each grain."""
