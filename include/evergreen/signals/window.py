"""Several nights measured as one: their labelled rows together, never a mean of the nights' own figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from evergreen.metrics import Metric
from evergreen.signals.record import Record


def pooled(metric: Metric, records: Iterable[Record]) -> float | None:
    """A metric of the labelled rows of all the records together; None where it cannot be computed."""
    found = metric.pooled([part for record in records if (part := record.part(metric.name)) is not None])
    return found if math.isfinite(found) else None


def newest(records: Sequence[Record], over: int, counts: Callable[[Record], bool]) -> list[Record]:
    """The newest of the records (oldest first) that count, at most so many, as far as they belong together.

    Where more than `over` published partitions in a row were not measured at all, what lies before is left
    out: the records are then no stretch of time.
    """
    found: list[Record] = []
    for following, record in zip([None, *reversed(records)], reversed(records), strict=False):
        if len(found) == over or (following is not None and following.age - record.age - 1 > over):
            break
        if counts(record):
            found.append(record)
    return found[::-1]
