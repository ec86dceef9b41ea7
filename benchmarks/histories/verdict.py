"""What must hold over the suite of histories, line by line. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.figure import Figure
from benchmarks.histories.outcome import Outcome

ON_THE_CURVE = 0.75
"""The share of histories on which the default must lie on or under the curve: 9 of 12."""

ABOVE_CURVE, ABOVE_NEVER, AFTER_A_BREAK = 0.03, 0.01, 0.15


@dataclass(frozen=True)
class Line:
    """One thing that must hold: a sentence with what was found, and the figure behind it."""

    says: str
    figure: Figure

    @property
    def holds(self) -> bool:
        """Whether it does."""
        return self.figure.ok


def verdict(outcomes: Sequence[Outcome]) -> list[Line]:
    """The lines of the list, each with the histories that break it."""
    told = [one for one in outcomes if one.above_curve is not None]
    above = [one for one in told if (one.above_curve or 0.0) > 0]
    under = len(told) - len(above)
    share = Line(
        f"on or under the curve on {under} of {len(told)} histories, at least {ON_THE_CURVE:.0%} of them"
        + _named(above, lambda one: one.above_curve),
        Figure(
            "histories above the curve of schedules",
            100 * len(above) / max(1, len(told)),
            "%",
            100 * (1 - ON_THE_CURVE),
        ),
    )
    return [
        share,
        _most("above the curve at its own number of trainings", told, lambda o: o.above_curve, ABOVE_CURVE),
        _most("worse than never", outcomes, lambda o: o.above_never, ABOVE_NEVER),
        _most(
            "worse than the best schedule after a break",
            outcomes,
            lambda o: max(o.after_breaks.values(), default=None),
            AFTER_A_BREAK,
        ),
        _still(outcomes),
    ]


def broken(outcome: Outcome) -> int:
    """How many of the lines that are about one history this one breaks."""
    return sum(line.holds is False for line in verdict([outcome])[1:])


def retrainings_too_many(outcome: Outcome) -> int:
    """How many more than one retraining in each year that was begun, where nothing drifts."""
    if outcome.drift != "none":
        return 0
    return max(0, outcome.default.trainings - 1 - math.ceil(outcome.years))


def _most(
    what: str, outcomes: Sequence[Outcome], share: Callable[[Outcome], float | None], limit: float
) -> Line:
    found = {one.history: value for one in outcomes if (value := share(one)) is not None}
    most = max(found.values(), default=0.0)
    over = [one for one in outcomes if found.get(one.history, 0.0) > limit]
    says = f"never more than {limit:.0%} {what}: at most {most:+.1%}" + _named(over, share)
    return Line(says, Figure(f"default policy, {what}", 100 * most, "%", 100 * limit))


def _still(outcomes: Sequence[Outcome]) -> Line:
    still = [one for one in outcomes if one.drift == "none"]
    over = [one for one in still if retrainings_too_many(one)]
    says = f"at most one retraining a year where nothing drifts, on {len(still) - len(over)} of {len(still)}"
    said = ", ".join(f"{one.history} {one.default.trainings - 1} in {one.years:.1f} years" for one in over)
    worst = float(max((retrainings_too_many(one) for one in still), default=0))
    figure = Figure("retrainings beyond one a year where nothing drifts", worst, "trainings", 0)
    return Line(says + (f" ({said})" if said else ""), figure)


def _named(outcomes: Sequence[Outcome], share: Callable[[Outcome], float | None]) -> str:
    ordered = sorted(outcomes, key=lambda one: -(share(one) or 0.0))
    return f" ({', '.join(f'{one.history} {share(one):+.1%}' for one in ordered)})" if ordered else ""
