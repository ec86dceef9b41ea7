"""The signal `drift`: how many features have drifted, or all of them together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from pydantic import Field

from evergreen.description import Extended
from evergreen.drift import STATISTICS, Statistic, limited, limits, most_drifted
from evergreen.drift.joint import JOINT
from evergreen.numbers import percent
from evergreen.signals.record import Record
from evergreen.signals.signal import Finding, Nights, Terms, Watched, register
from evergreen.signals.single import OfSinglePartitions
from evergreen.task import Task
from evergreen.units import Share, SomeLength

Reference = Literal["season", "trailing", "window"]

_LEADING = 2  # features named in a clause
_WARNED_OF = 3  # and in an alert
TOGETHER = "the features drifted together"


class Drift(Extended):
    """When a feature counts as drifted, and which share of drifted features counts as drift.

    A feature is drifted if a statistic is above its limit (a key with the statistic's name, see
    `evergreen.drift`), and its test is significant.
    """

    reference: Reference | None = None
    """What a partition is compared with: the whole training `window`, the `trailing` length of time before
    the partition, or the training rows of the same `season`; default: the season, for a snapshot the window.
    """
    false_discovery: Share = 0.01
    """The false discovery rate of the tests, over all features. Example: 1%"""
    rows: int = Field(default=500, ge=1)
    """The rows below which a partition is pooled with earlier ones."""
    trailing: SomeLength | None = None
    """How far back the reference `trailing` reaches; default by grain."""
    share: Share = 0.5
    """The share of the features that must have drifted. Example: 50%"""

    @classmethod
    def further(cls) -> Mapping[str, tuple[Any, Any]]:
        """The limits of the statistics."""
        return limits()

    def limit(self, statistic: Statistic) -> Any:
        """The limit of a statistic."""
        return getattr(self, statistic.name)


@dataclass(frozen=True, kw_only=True)
class DriftSignal(OfSinglePartitions[Drift]):
    """The share of the features that drifted, or with a limit for `joint` all of them together.

    Drift is always recorded. Features drift more often than models fail, so by default the signal is active
    only if labels come too late or not at all.

    Example:
        monitoring:
          drift: {share: 50%, psi: 0.1, joint: 0.7}
          retrain: {on: [drift], when: 2 of 3 partitions}
    """

    def by_default(self, task: Task, late: bool, timed: bool) -> bool:
        """If there are no labels, or they come later."""
        return late or task is Task.CLUSTERING

    def measured(self, watched: Watched) -> dict[str, Any]:
        """All settings except `share`."""
        return self.of(watched).model_dump(mode="json", exclude={"share"})

    def holds(self, nights: Nights, record: Record) -> bool:
        """Whether enough features drifted, or all together."""
        limit = self.of(nights.watched).share
        return together(record) or 0 < record.drifted_share >= limit

    def asks_when(self, terms: Terms) -> str:
        """The share, the limits of the statistics, and how often."""
        share = percent(self.of(terms.watched).share)
        limits = self.limits_in_words(terms.watched, STATISTICS.values())
        return f"at least {share} of the features drift{self.often(terms)} ({limits})"

    def limits_in_words(self, watched: Watched, statistics: Iterable[Statistic]) -> str:
        """The limits of those of the statistics that have one: `psi above 0.1, missing above 0.03`."""
        known = ((one.name, self.of(watched).limit(one)) for one in statistics if one.limit)
        return ", ".join(f"{name} above {limit:g}" for name, limit in known if limit is not None)

    def look(self, nights: Nights) -> Finding:
        """Whether the features drifted often enough."""
        limit, newest, held = self.of(nights.watched).share, nights.newest, self.held(nights)
        leading = dict(islice(most_drifted(newest.drift).items(), _LEADING))
        jointly = f" or all of them together ({JOINT.told(newest.joint)})" if newest.joint else ""
        named = f": {' and '.join(f'{name} {told}' for name, told in leading.items())}" if leading else ""
        clause = (
            f"at least {percent(limit)} of the features{jointly} drifted {held.words}"
            f" ({held.wanted_words}{percent(newest.drifted_share)} on the newest{named}"
            f"{_without_figures(newest)}{_without_season(self.of(nights.watched), nights)})"
        )
        figures = {"drifted_share": newest.drifted_share, "limit": limit, "leading": list(leading)}
        if newest.joint:
            figures |= {JOINT.name: newest.joint.get("auc")}
        return Finding(held.fires, clause, {**figures, **held.figures})

    def warning(self, record: Record, clause: str) -> str:
        """The share, the features that drifted most, and whether all drifted together."""
        leading = islice(most_drifted(record.drift).items(), _WARNED_OF)
        named = ", ".join(f"{name} ({told})" for name, told in leading)
        most = f", most of all {named}" if named else ""
        share = f"{record.drifted_share:.0%} of the features drifted{most}"
        if not together(record):
            return share
        return f"{share}; {TOGETHER}" if record.drifted_share else TOGETHER


def _without_figures(record: Record) -> str:
    """Of how many features there is no figure, so that they do not count as drifted."""
    first = limited()[0].name
    count = sum(first in found and found[first] is None for found in record.drift.values())
    return f"; {count} of {len(record.drift)} have too few reference rows for a figure" if count else ""


def _without_season(drift: Drift, nights: Nights) -> str:
    """With what the newest is compared where its season is asked for and the training window lacks it."""
    asked = nights.calendar.has_time and drift.reference in (None, "season")
    instead = _INSTEAD.get(nights.newest.held_against or "") if asked else None
    return f"; the training window does not hold its season: compared with {instead}" if instead else ""


_INSTEAD = {
    "trailing": "what went just before, which does not show a slow change",
    "window": "all of the window, since nothing went before",
}


def together(record: Record) -> bool:
    """Whether the features drifted together, if `joint` has a limit."""
    return bool((record.joint or {}).get("drifted"))


DRIFT = register(
    DriftSignal(
        name="drift",
        words="drift of the features",
        fires_when="at least `drift.share` of the features drifted (or all together, with `joint`), in "
        "`retrain.when` of the last partitions",
        needs=("features",),
        knobs=Drift,
        alert="drift",
        figure="drifted_share",
    )
)
