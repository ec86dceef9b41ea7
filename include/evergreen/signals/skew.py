"""The signal `skew`: what servers answered differs from what was published since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from evergreen.description import Described
from evergreen.numbers import percent
from evergreen.signals.record import Record
from evergreen.signals.signal import Finding, Nights, Terms, register
from evergreen.signals.single import OfSinglePartitions
from evergreen.units import Share

_LEADING = 3  # columns named in a clause
UNEXPLAINED = "unexplained"
"""The cause of a changed prediction that all known inputs leave open."""


class Skew(Described):
    """Which share of the logged rows may differ from what is published, before it counts as skew."""

    inputs: Share = 0.01
    """The share of the published rows that may have been asked for with other values. Example: 1%"""
    predictions: Share = 0.0
    """The share of those with equal inputs whose prediction may be another one now, by the same version and
    look-back.
    """


@dataclass(frozen=True, kw_only=True)
class SkewSignal(OfSinglePartitions[Skew]):
    """The shares of logged requests whose inputs, or whose predictions, differ from the published ones.

    A share of the requests is logged where the description has `serving.log`. A training learns from the lake
    and mends no skew, so the signal is never active by default. Its alert is sent in any case.

    Example:
        monitoring:
          skew: {inputs: 1%, predictions: 0%}
          retrain: {on: [skew]}
    """

    def holds(self, nights: Nights, record: Record) -> bool:
        """Whether more than allowed differs."""
        limits, found = self.of(nights.watched), _Shares.of(record)
        return found is not None and (
            found.inputs > limits.inputs or (found.predictions or 0.0) > limits.predictions
        )

    def asks_when(self, terms: Terms) -> str:
        """The limits, and how often."""
        limits = self.of(terms.watched)
        return (
            f"more than {percent(limits.inputs)} of the logged rows are published with other values, or more "
            f"than {percent(limits.predictions)} of those with equal ones are predicted otherwise"
            f"{self.often(terms)}"
        )

    def look(self, nights: Nights) -> Finding:
        """Whether it differed often enough."""
        found = _Shares.of(nights.newest)
        if found is None:
            return Finding(False, "no logged requests to compare", {"rows": None})
        held = self.held(nights)
        clause = (
            f"requests differ from what is published {held.words} ({held.wanted_words}{told(nights.newest)})"
        )
        figures = {"rows": found.rows, "inputs": found.inputs, "predictions": found.predictions}
        return Finding(held.fires, clause, {**figures, **held.figures})

    def warning(self, record: Record, clause: str) -> str:
        """What differs on the newest partition."""
        return told(record)


@dataclass(frozen=True)
class _Shares:
    """Of `rows` compared rows, the share with other inputs; of those with equal ones, other predictions.

    That of the predictions is None where no row could be predicted again.
    """

    rows: int
    inputs: float
    predictions: float | None

    @classmethod
    def of(cls, record: Record) -> _Shares | None:
        """Those of a record; None where nothing was compared."""
        found = record.skew
        if not (rows := found.get("rows", 0) - found.get("unpublished", 0)):
            return None
        equal = found["equal"]
        return cls(rows, found["inputs"] / rows, _unexplained(found) / equal if equal else None)


def _unexplained(found: Mapping[str, Any]) -> int:
    return int(found["predictions"].get(UNEXPLAINED, {}).get("rows", 0))


def told(record: Record) -> str:
    """How many logged rows differ, and in which columns most."""
    found = record.skew
    columns = sorted(found["columns"].items(), key=lambda one: (-one[1]["rows"], one[0]))
    leading = ", ".join(f"{name} {one['rows']:,}" for name, one in islice(columns, _LEADING))
    named = f" (most of all {leading})" if leading else ""
    return (
        f"{found['inputs']:,} of {found['rows'] - found['unpublished']:,} logged rows have other inputs than "
        f"published{named}, {_unexplained(found):,} of {found['equal']:,} with equal ones other predictions"
    )


SKEW = register(
    SkewSignal(
        name="skew",
        words="skew of requests",
        fires_when="more than `skew.inputs` of the logged rows are published with other values, or more than "
        "`skew.predictions` of those with equal ones are predicted otherwise, in `retrain.when` of the last "
        "partitions",
        needs=("logged requests",),
        knobs=Skew,
        figure="rows",
    )
)
