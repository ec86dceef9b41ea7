"""A signal that somebody added, defined here and nowhere else.

Python imports a module of this name when it starts: so a process that the library starts knows it too.
"""

from __future__ import annotations

from dataclasses import dataclass

from evergreen.description import Described
from evergreen.signals import Finding, Nights, Signal, register
from evergreen.signals.turn import Turn, in_percent
from evergreen.task import Task
from evergreen.units import Share


class Surge(Described):
    """How far the level of the target may rise above that of the hold-out."""

    rise: Share = 0.5


@dataclass(frozen=True, kw_only=True)
class SurgeSignal(Signal[Surge]):
    """The level of the newest partition's target against that of the hold-out."""

    def by_default(self, task: Task, late: bool, timed: bool) -> bool:
        return task is Task.REGRESSION

    def turns(self) -> dict[str, Turn]:
        return {"rise": Turn((self.name, "rise"), range(10, 100, 10), in_percent)}

    def look(self, nights: Nights) -> Finding:
        newest = nights.newest
        if newest.level is None or not newest.promised_level:
            return Finding(False, "no labels that show a surge", {"risen": None})
        risen, limit = newest.level / newest.promised_level - 1, self.of(nights.watched).rise
        clause = f"{risen:.0%} more is sold than in the hold-out ({limit:.0%} allowed)"
        return Finding(risen > limit, clause, {"risen": risen, "limit": limit})


register(
    SurgeSignal(
        name="surge",
        words="surge of the target",
        fires_when="more is sold than in the hold-out by more than `surge.rise`",
        needs=("labels",),
        tasks=(Task.REGRESSION,),
        knobs=Surge,
        alert="performance",
        figure="risen",
    )
)
