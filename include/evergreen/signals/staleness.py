"""The signal `staleness`: how much of the training window is new."""

from __future__ import annotations

from dataclasses import dataclass

from evergreen.description import Described
from evergreen.numbers import percent
from evergreen.signals.signal import Finding, Nights, Signal, Terms, register
from evergreen.signals.turn import Turn, in_percent
from evergreen.units import Share


class Staleness(Described):
    """Retrain when this share of the data now in the training window came after the last training.

    So a young pipeline, whose window is still filling, is trained often, and an old one seldom.
    """

    unseen: Share = 0.2
    """The share of the training window that came after the last training. Example: 20%"""


@dataclass(frozen=True, kw_only=True)
class StalenessSignal(Signal[Staleness]):
    """The share of the training window that came after the last training.

    It needs no measurement, and covers changes too slow for the other signals.

    Example:
        monitoring:
          staleness: {unseen: 20%}
          retrain: {on: [staleness]}
    """

    def turns(self) -> dict[str, Turn]:
        """The share."""
        return {"unseen": Turn((self.name, "unseen"), range(2, 52, 2), in_percent)}

    def asks_when(self, terms: Terms) -> str:
        """How much must be new."""
        return f"at least {terms.new(self.of(terms.watched).unseen)} came after the last training"

    def look(self, nights: Nights) -> Finding:
        """Whether the share is reached."""
        limit, history, unseen = self.of(nights.watched).unseen, nights.newest.history, nights.unseen
        clause = (
            f"{percent(unseen)} of the {nights.calendar.counted(history)} in the training window came after "
            f"the last training (limit {percent(limit)})"
        )
        return Finding(unseen >= limit, clause, {"unseen": unseen, "limit": limit, "history": history})


STALENESS = register(
    StalenessSignal(
        name="staleness",
        words="staleness",
        fires_when="at least `staleness.unseen` of the training window came after the last training",
        needs=("time",),
        knobs=Staleness,
        figure="unseen",
        of_time=True,
    )
)
