"""A night's figures over the rows of the last nights together, beside those of its own rows. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from evergreen.json_values import finite_or_none
from evergreen.metrics import Metric, metric_named
from evergreen.monitoring.fairness import fairness_window
from evergreen.signals.performance import PERFORMANCE
from evergreen.signals.record import Record, part_in
from evergreen.signals.window import newest
from evergreen.spec import Spec


def with_window(spec: Spec, record: Record, earlier: Sequence[Record]) -> Record:
    """The record with each metric, slice and group over the last nights with labels, its own the last.

    They are those of `monitoring.performance.over`, of the same version, as far as they belong together (see
    `evergreen.signals.window.newest`); `earlier` are the records before it, oldest first.
    """
    if not record.labelled:
        return record
    before = [one for one in earlier if one.version == record.version and one.partition < record.partition]
    over = PERFORMANCE.over(spec.monitoring, spec.calendar, record.partition)
    nights = newest([*before, record], over, lambda one: one.labelled > 0)
    return replace(
        record,
        window={
            "first": nights[0].partition,
            "partitions": len(nights),
            "rows": sum(night.labelled for night in nights),
        },
        metrics={
            name: {
                **found,
                "pooled": _pooled(metric_named(name), [(n.labelled, n.metrics.get(name)) for n in nights]),
            }
            for name, found in record.metrics.items()
        },
        slices={
            name: {**found, "pooled": _pooled(spec.metric, [_slice(n, name) for n in nights])}
            for name, found in record.slices.items()
        },
        fairness=fairness_window(spec, nights),
    )


def _slice(night: Record, name: str) -> tuple[int, Mapping[str, Any] | None]:
    found = night.slices.get(name)
    return (0, None) if found is None else (found["rows"], found)


def _pooled(metric: Metric, found: Sequence[tuple[int, Mapping[str, Any] | None]]) -> float | None:
    parts = [part for rows, one in found if one is not None and (part := part_in(rows, one)) is not None]
    return finite_or_none(metric.pooled(parts))
