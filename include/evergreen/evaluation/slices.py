"""Challenger against champion on parts of the rows: one for each value of a named column."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evergreen.evaluation.compare import Comparison
from evergreen.evaluation.groups import Groups, text_of
from evergreen.spec import SliceRule, Spec

if TYPE_CHECKING:
    from evergreen.training_set.assemble import TrainingSet

Compare = Callable[[NDArray[np.intp]], Comparison]
"""Compares challenger and champion on some of the compared rows, given by position."""


@dataclass(frozen=True)
class SliceResult:
    """One value of a column: how many of the compared rows have it, and the comparison on them.

    `comparison` is None where nothing was compared: too few rows, or no champion that can be compared.
    """

    column: str
    value: str
    rows: int
    required: bool
    comparison: Comparison | None = None

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {**vars(self), "comparison": self.comparison and self.comparison.to_dict()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> SliceResult:
        """The result that `to_dict` wrote."""
        comparison = content["comparison"]
        return cls(**{**content, "comparison": comparison and Comparison.from_dict(comparison)})


def measure_slices(
    spec: Spec, training_set: TrainingSet, rows: NDArray[np.bool_], compare: Compare | None
) -> tuple[SliceResult, ...]:
    """The slices of `gate.slices`, on the compared `rows` (mask of the training set, all held out).

    There is one for each value in the hold-out, and for each that is required by name. `compare` is None
    without a champion that can be compared. Raises `SpecError` for a column that does not exist.
    """
    return tuple(
        result
        for number, rule in enumerate(spec.gate.slices)
        for result in _of_rule(
            rule,
            Groups.of(spec, training_set, rows, f"gate.slices.{number}.column", rule.column),
            compare,
        )
    )


def _of_rule(rule: SliceRule, groups: Groups, compare: Compare | None) -> list[SliceResult]:
    named = [] if isinstance(rule.required, bool) else [text_of(value) for value in rule.required]
    absent = [value for value in named if value not in groups.values]
    return [
        SliceResult(
            column=rule.column,
            value=value,
            rows=len(places),
            required=rule.required is True or value in named,
            comparison=compare(places) if compare and len(places) >= rule.minimum else None,
        )
        for value, places in groups
    ] + [SliceResult(rule.column, value, 0, required=True) for value in absent]
