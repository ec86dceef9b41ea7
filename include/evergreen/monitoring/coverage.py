"""How often a night's published intervals or sets hold the truth, and how much rows depend on each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import pandas as pd

from evergreen.calendar import Calendar
from evergreen.intervals.coverage import Covered, correlation, covered, pooled
from evergreen.scoring.published import ACTUAL, read_published
from evergreen.spec import Spec

HeldOut = Mapping[str, Sequence[Covered]]
"""The coverage of each partition of a hold-out by key, oldest first: one for each level."""


def night_coverage(
    spec: Spec,
    rows: pd.DataFrame,
    classes: Sequence[Any],
    levels: Sequence[float],
    held: HeldOut | None = None,
) -> list[dict[str, Any]]:
    """For each of the `levels` of their version, what a record holds of the coverage of labelled rows (n).

    `rows` are published predictions with `actual`, and `held` is the coverage of the version's hold-out. The
    other arguments are those of `read_published`.
    """
    if not levels:
        return []
    found = covered(rows[ACTUAL].to_numpy(), read_published(spec, rows, classes, levels))
    correlations = correlations_of(spec.calendar, held or {})
    return [{**one.to_dict(), "correlation": correlations.get(one.level)} for one in found]


def correlations_of(calendar: Calendar, held: HeldOut) -> dict[float, float | None]:
    """By level, how much the rows of a partition of the hold-out correlate in being missed.

    The hours of a day count as one partition. None where the hold-out has too few, or no time.
    """
    if not held or not calendar.has_time:
        return {}
    first, size = next(iter(held)), calendar.grain.facts.unit
    units = [
        [held[key] for key in keys]
        for _, keys in groupby(held, lambda key: calendar.distance(first, key) // size)
    ]
    by_level = [[pooled(parts) for parts in zip(*unit, strict=True)] for unit in units]
    return {level[0].level: correlation(level) for level in zip(*by_level, strict=True)}
