"""The signal `renewal`: regular trainings, for as long as they help."""

from __future__ import annotations

from dataclasses import dataclass

from evergreen.description import Described
from evergreen.numbers import percent
from evergreen.signals.signal import Finding, Nights, Signal, Terms, register
from evergreen.signals.turn import Turn, in_percent
from evergreen.task import Task
from evergreen.units import Share


class Renewal(Described):
    """Train again when enough of the training window came after the last training.

    It does so only where the last training helped: its challenger was promoted, or is on trial and better so
    far. While one is on trial, it waits for twice as much.
    """

    unseen: Share = 0.3
    """The share of the training window that must have come after the last training. Example: 30%"""
    gain: Share = 0.01
    """How much better a challenger on trial must be so far, as a share. Example: 1%"""


@dataclass(frozen=True, kw_only=True)
class RenewalSignal(Signal[Renewal]):
    """The share of the training window that came after the last training, where that one helped.

    Where the world changes steadily, training at an even pace is hard to beat; where nothing changes, it is a
    waste. Which of both it is, the last training has shown. The first model says nothing of that: another
    signal has to ask for the first retraining.

    Example:
        monitoring:
          renewal: {unseen: 30%, gain: 1%}
          retrain: {on: [renewal]}
    """

    def by_default(self, task: Task, late: bool, timed: bool) -> bool:
        """For tasks with labels, where there is time."""
        return task in self.tasks and timed

    def turns(self) -> dict[str, Turn]:
        """The share that is new."""
        return {"unseen": Turn((self.name, "unseen"), range(5, 55, 5), in_percent)}

    def asks_when(self, terms: Terms) -> str:
        """How much must be new, and what the last training must have brought."""
        limits = self.of(terms.watched)
        return (
            f"at least {terms.new(limits.unseen)} came after the last training, and that one helped: its "
            f"challenger was promoted, or is on trial and at least {percent(limits.gain)} better so far "
            "(then twice as much)"
        )

    def look(self, nights: Nights) -> Finding:
        """Whether enough is new, and the last training helped."""
        limits, unseen, last = self.of(nights.watched), nights.unseen, nights.last
        wanted = min(limits.unseen * (2 if last.on_trial else 1), 1.0)
        helped = last.helped(limits.gain)
        clause = f"{percent(unseen)} of the training window is new (renewed at {percent(wanted)})"
        if not helped:
            clause = f"no renewal: {last.words(limits.gain)}"
        figures = {"unseen": unseen, "limit": wanted, "helped": helped, "gain": last.gain}
        return Finding(helped and unseen >= wanted, clause, figures)


RENEWAL = register(
    RenewalSignal(
        name="renewal",
        words="renewal",
        fires_when="the last training helped, and at least `renewal.unseen` of the training window came "
        "after it (twice as much while its challenger is on trial)",
        needs=("labels", "time"),
        tasks=(Task.REGRESSION, Task.CLASSIFICATION),
        knobs=Renewal,
        figure="unseen",
        of_time=True,
    )
)
