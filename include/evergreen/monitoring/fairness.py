"""How alike groups of rows are by the rules of `gate.fairness`: of a night, and of the last nights. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evergreen.errors import SpecError
from evergreen.evaluation.fairness import FairnessResult, GroupResult
from evergreen.json_values import finite_or_none, number_or_nan
from evergreen.metrics import metric_named
from evergreen.metrics.classes import positive_class
from evergreen.metrics.measured import Measured
from evergreen.metrics.part import Part
from evergreen.metrics.rates import RATES
from evergreen.monitoring.performance import by_value
from evergreen.signals.record import Record, part_in
from evergreen.spec import FairnessRule, Spec


def night_fairness(
    spec: Spec, frames: Sequence[pd.DataFrame], labelled: Measured, classes: Sequence[Any]
) -> list[dict[str, Any]]:
    """Of each rule its `column`, what it compares (`measure`), and its `groups` by value of the column.

    `frames` (n rows) are where the column is looked for, in this order: raw rows, and features. `labelled`
    (n) are the same rows with their truth, and `classes` those of the champion's training. A group has its
    `rows`, the `value` and what is `kept` of them. Raises `SpecError` for a column that is in no frame.
    """
    return [
        {
            "column": rule.column,
            "measure": rule.measure,
            "groups": dict(_groups(spec, number, _column(spec, number, frames), labelled, classes)),
        }
        for number, rule in enumerate(spec.gate.fairness)
    ]


def fairness_window(spec: Spec, nights: Sequence[Record]) -> list[dict[str, Any]]:
    """What the newest of the nights holds of each rule, and `pooled`: that of all rows of the nights.

    Pooled are `groups` (rows and value of each), `difference` and `ratio`, and whether the rule `holds`: None
    where fewer than two groups have enough rows, or a value cannot be computed.
    """
    return [
        {**found, "pooled": _pooled(rule, [_rule(night, rule) for night in nights])}
        for rule, found in zip(spec.gate.fairness, nights[-1].fairness, strict=False)
    ]


def result_in(rule: FairnessRule, pooled: Mapping[str, Any]) -> FairnessResult:
    """The pooled groups of a rule, as the gate has them."""
    groups = (
        GroupResult(name, one["rows"], one["rows"] >= rule.minimum, number_or_nan(one["value"]))
        for name, one in pooled["groups"].items()
    )
    return FairnessResult(rule.column, rule.measure, tuple(groups))


def _groups(
    spec: Spec, number: int, column: pd.Series, labelled: Measured, classes: Sequence[Any]
) -> list[tuple[str, dict[str, Any]]]:
    names, groups = by_value(column, ())
    found = []
    for place, name in enumerate(names):
        rows: NDArray[np.intp] = np.flatnonzero(groups == place)
        if len(rows):
            part = _part(spec, number, labelled.taken(rows), classes) or Part(len(rows), None)
            found.append((name, {"rows": part.rows, "value": part.value, "kept": part.kept}))
    return found


def _part(spec: Spec, number: int, rows: Measured, classes: Sequence[Any]) -> Part | None:
    rule = spec.gate.fairness[number]
    if rule.rate is None:
        return rows.part(str(rule.metric))
    known = classes or rows.names
    where = f"{spec.folder / 'pipeline.yaml'}: gate.fairness.{number}.positive"
    positive = known[positive_class(known, spec.positive_of(rule), where)]
    # A night may hold no row of it.
    place = rows.names.index(positive) if positive in rows.names else len(rows.names)
    return RATES[rule.rate].part(rows, place)


def _pooled(rule: FairnessRule, nights: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    groups: dict[str, dict[str, Any]] = {}
    for name in sorted({name for night in nights for name in night}):
        there = [night[name] for night in nights if name in night]
        parts = [part for one in there if (part := part_in(one["rows"], one)) is not None]
        pool = RATES[rule.rate].pooled if rule.rate else metric_named(str(rule.metric)).pooled
        groups[name] = {"rows": sum(one["rows"] for one in there), "value": finite_or_none(pool(parts))}
    result = result_in(rule, {"groups": groups})
    known = finite_or_none(result.difference) is not None
    return {
        "groups": groups,
        "difference": finite_or_none(result.difference),
        "ratio": finite_or_none(result.ratio),
        "holds": result.holds(rule) if known else None,
    }


def _rule(night: Record, rule: FairnessRule) -> Mapping[str, Any]:
    """The groups that a night holds of a rule; none where it was described later."""
    wanted = (rule.column, rule.measure)
    return next((one["groups"] for one in night.fairness if (one["column"], one["measure"]) == wanted), {})


def _column(spec: Spec, number: int, frames: Sequence[pd.DataFrame]) -> pd.Series:
    column = spec.gate.fairness[number].column
    for frame in frames:
        if column in frame:
            return frame[column]
    there = ", ".join(map(str, frames[0].columns[:30]))
    raise SpecError(
        f"{spec.folder / 'pipeline.yaml'}: gate.fairness.{number}.column: neither the rows nor the features "
        f"have a column '{column}': name one of {there}"
    )
