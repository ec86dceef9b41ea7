"""The signal `bias`: a regression with a lasting error to one side."""

from __future__ import annotations

from dataclasses import dataclass

from evergreen.description import Described
from evergreen.numbers import percent
from evergreen.signals.signal import Finding, Nights, Signal, Terms, register
from evergreen.task import Task
from evergreen.units import Share, Tolerance


class Bias(Described):
    """Retrain when a regression is biased, and the training window has enough new rows.

    Page's cumulative sums, one up and one down, of each partition's mean of prediction less actual value, as
    a share of its mean absolute target.
    """

    k: Tolerance = 0.02
    """The slack: a partition adds the part beyond this."""
    h: Tolerance = 1.0
    """The larger sum at which the signal fires."""
    unseen: Share = 0.15
    """The share of the data now in the training window that must have come after the last training."""


@dataclass(frozen=True, kw_only=True)
class BiasSignal(Signal[Bias]):
    """Two cumulative sums, one up and one down, of the mean of prediction less actual value.

    A lasting error to one side can be learnt by a new training; errors to both sides are noise. Once a sum
    has crossed, the signal fires until the next training.

    Example:
        monitoring:
          bias: {k: 2%, h: 100%, unseen: 15%}
          retrain: {on: [bias]}
    """

    def asks_when(self, terms: Terms) -> str:
        """Limit and slack, and how much must be new."""
        limits, word = self.of(terms.watched), terms.calendar.grain.facts.word
        said = (
            f"predictions are too high or too low for long: the sum of the bias is above {percent(limits.h)} "
            f"of the target's level (slack {percent(limits.k)} each {word})"
        )
        if not terms.calendar.has_time:
            return said
        return f"{said}, and at least {terms.new(limits.unseen)} came after the last training"

    def look(self, nights: Nights) -> Finding:
        """Whether a sum has crossed, and enough of the window is new."""
        import numpy as np

        from evergreen.signals.sequential import page_sums

        known = [record for record in nights.records if record.bias is not None and record.level]
        if not known:
            return Finding(False, "no labels that show a bias", {"partitions": 0})
        limits, unseen = self.of(nights.watched), nights.unseen
        shares = np.array([(record.bias or 0.0) / (record.level or 1.0) for record in known])
        sums = page_sums(np.stack([shares, -shares]), limits.k, limits.h)
        crossed = sums.max(axis=0) > limits.h
        at = known[int(crossed.argmax())].partition if crossed.any() else None
        mean = float(shares.mean())
        side = "more" if mean > 0 else "less"
        clause = f"predicts {percent(abs(mean))} {side} than the actual level since the last training"
        if at:
            clause += f", sum crossed with {at}"
        else:
            clause += f" (sum {percent(float(sums.max()))} of {percent(limits.h)})"
        if at and unseen < limits.unseen:
            clause += f", {percent(unseen)} of the training window unseen ({percent(limits.unseen)} wanted)"
        figures = {
            "bias": mean,
            "sum": float(sums[:, -1].max()),
            "limit": limits.h,
            "at": at,
            "unseen": unseen,
            "unseen_wanted": limits.unseen,
            "partitions": len(known),
        }
        return Finding(at is not None and unseen >= limits.unseen, clause, figures)


BIAS = register(
    BiasSignal(
        name="bias",
        words="bias",
        fires_when="a sum of the bias has crossed `bias.h`, and at least `bias.unseen` of the training "
        "window came after the last training: there is data to learn it from",
        needs=("labels",),
        tasks=(Task.REGRESSION,),
        knobs=Bias,
        figure="bias",
        source="E. S. Page, Biometrika 41, 1954",
    )
)
