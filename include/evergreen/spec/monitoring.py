"""What is watched every scored partition, and when a training is asked for."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from evergreen.description import Described
from evergreen.signals import SIGNALS, Watched
from evergreen.units import Budget, Frequency, Partitions, RetrainBudget, Share, Times, Tolerance


def _signal(name: str) -> str:
    if name not in SIGNALS:
        *others, last = map(repr, SIGNALS)
        raise ValueError(f"must be {', '.join(others)} or {last}")
    return name


SignalName = Annotated[str, AfterValidator(_signal)]


class Health(Described):
    """What else is alerted on, and from where.

    How far the rows of a partition may be from the usual number, which share of them may be quarantined, how
    many partitions in a row may be missing, and how old a champion may be.
    """

    volume: Tolerance = 0.5
    quarantined: Share = 0.05
    missing: Partitions = 1
    age: Partitions | None = None


class Retrain(Described):
    """Which signals count, and the limits on how often they may start a training.

    `on` is chosen by the description where it is left out: see `Spec.signals`. A signal of single partitions
    fires when it holds in `when` of the last ones, the newest among them. After `refusals` refused
    challengers in a row no further training is started until one is promoted.
    """

    on: tuple[SignalName, ...] | None = None
    when: Frequency = Times(2, 3)
    cooldown: Partitions = 5
    budget: RetrainBudget = Budget(6, 30)
    refusals: int = Field(default=3, ge=1)


class Monitoring(Watched):
    """What is watched every scored partition, and the policy that decides on a retraining.

    The knobs of each signal stand under its name (see `evergreen.signals`); `PERFORMANCE.of(monitoring)`
    gives those of a signal.
    """

    health: Health = Health()
    retrain: Retrain = Retrain()
