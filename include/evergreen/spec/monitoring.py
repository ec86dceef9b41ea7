"""What is monitored in every scored partition, and when a training is requested."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from evergreen.description import Described
from evergreen.metrics import MetricName
from evergreen.signals import SIGNALS, Watched
from evergreen.units import (
    AnyLength,
    Frequency,
    OneOfNames,
    RetrainBudget,
    Share,
    SomeLength,
    Times,
    Tolerance,
)


def _signal(name: str) -> str:
    if name not in SIGNALS:
        *others, last = map(repr, SIGNALS)
        raise ValueError(f"must be {', '.join(others)} or {last}")
    return name


SignalName = Annotated[str, AfterValidator(_signal), OneOfNames("a signal", SIGNALS)]


class Health(Described):
    """Limits of further alerts."""

    volume: Tolerance = 0.5
    """How far the number of rows may be from the usual number."""
    quarantined: Share = 0.05
    """The largest share of rows in quarantine."""
    missing: AnyLength | None = None
    """The longest stretch without data; default by grain. Example: 2 partitions"""
    age: AnyLength | None = None
    """The oldest champion; default: no limit. Example: 90 days"""


class Retrain(Described):
    """Which signals count, and the limits on how often they may start a training.

    After some challengers in a row that were worse the circuit breaker opens: no training is started, except
    one after a while or once the error has grown. A promotion closes it. The defaults of lengths follow from
    the grain (`evergreen.calendar.defaults`).
    """

    on: tuple[SignalName, ...] | None = None
    """The signals that may ask for a training; default: by task and delay of labels (see the signals' page).
    Example: [performance, drift]
    """
    when: Frequency = Times(2, 3)
    """In how many of the last partitions, the newest among them, a signal of single partitions must hold."""
    cooldown: AnyLength | None = None
    """How far two trainings lie apart at least; default: a tenth of the training window. Example: 5
    partitions
    """
    budget: RetrainBudget | None = None
    """How many trainings may start in a stretch of time; default by grain."""
    refusals: int = Field(default=3, ge=1)
    """After how many challengers in a row that were worse the circuit breaker opens."""
    half_open: SomeLength | None = None
    """After how long the open circuit breaker lets one training start; default by grain."""


class Monitoring(Watched):
    """What is monitored in every scored partition, and the policy that decides on a retraining.

    The settings of each signal are under its name (see `evergreen.signals`); `PERFORMANCE.of(monitoring)`
    returns those of one signal.
    """

    metrics: tuple[MetricName, ...] = ()
    """Further metrics to measure every night by, beside the training metric; no signal looks at them.
    Example: [rmse]
    """
    health: Health = Health()
    retrain: Retrain = Retrain()
