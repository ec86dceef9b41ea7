"""Figures of several nights together."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from evergreen.signals.record import Record


def weighted_mean(records: Iterable[Record], figure: Callable[[Record], float | None]) -> float | None:
    """The mean of a figure of nights, weighted by their labelled rows.

    Nights without labelled rows or without the figure are left out; None if none is left.
    """
    known = [
        (value, record.labelled)
        for record in records
        if record.labelled and (value := figure(record)) is not None
    ]
    rows = sum(labelled for _, labelled in known)
    return sum(value * labelled for value, labelled in known) / rows if rows else None
