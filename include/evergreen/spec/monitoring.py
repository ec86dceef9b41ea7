"""What is watched every scored partition, and when a training is asked for."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from evergreen.description import Described
from evergreen.units import Budget, Partitions, RetrainBudget, Share, Tolerance


class Performance(Described):
    """Retrain when the mean error over the last partitions is this much above what the hold-out promised."""

    tolerance: Tolerance = 0.25
    over: Partitions = 5


class Drift(Described):
    """When a feature is called drifted (population stability index), and what share of them is drift.

    The share is the mean over the last `over` partitions.
    """

    psi: float = Field(default=0.25, gt=0)
    share: Share = 0.5
    over: Partitions = 5


class Staleness(Described):
    """Retrain when this share of the data now in the training window came after the last training.

    A young pipeline, whose window is still filling, so learns often, and an old one seldom.
    """

    unseen: Share = 0.2


class Retrain(Described):
    """Which signals count, and the limits on how often they may start a training."""

    on: tuple[Literal["performance", "drift", "staleness"], ...] = ("performance",)
    cooldown: Partitions = 5
    budget: RetrainBudget = Budget(6, 30)


class Monitoring(Described):
    """What is watched every scored partition, and the policy that decides on a retraining."""

    performance: Performance = Performance()
    drift: Drift = Drift()
    staleness: Staleness = Staleness()
    retrain: Retrain = Retrain()
