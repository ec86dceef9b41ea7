"""What is watched every scored partition, and when a training is asked for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from pydantic import Field

from evergreen.description import Described, Extended
from evergreen.drift import Statistic, limits
from evergreen.units import (
    Budget,
    Column,
    Duration,
    Frequency,
    Partitions,
    RetrainBudget,
    Share,
    Times,
    Tolerance,
)

Reference = Literal["season", "trailing", "window"]
Signal = Literal["performance", "cusum", "bias", "estimate", "drift", "prediction_drift", "staleness"]


class Cusum(Described):
    """Page's cumulative sum of each partition's error, in standard deviations of the hold-out's partitions.

    A partition adds what it lies above the promise less the slack `k`; the sum crosses at `h`.
    """

    k: float = Field(default=0.5, ge=0)
    h: float = Field(default=5, gt=0)


class Performance(Described):
    """How much above what the hold-out promised the error may lie, over how many partitions with labels.

    `slices` are columns by whose values the error is recorded too.
    """

    tolerance: Tolerance = 0.25
    over: Partitions = 5
    cusum: Cusum = Cusum()
    slices: tuple[Column, ...] = ()


class Bias(Described):
    """Retrain when a regression errs to one side, and there are new rows to learn better from.

    Page's cumulative sums, one up and one down, of each partition's mean of prediction less actual value, as
    a share of its mean absolute target: a partition adds what lies beyond the slack `k`, and the larger sum
    crosses at `h`. The share `unseen` of the data now in the training window must have come after the last
    training.
    """

    k: Tolerance = 0.02
    h: Tolerance = 1.0
    unseen: Share = 0.15


class Drift(Extended):
    """When a feature is called drifted, and what share of them is drift.

    A feature is drifted if an effect is above the limit of its statistic, which has the statistic's name here
    (see `evergreen.drift`), and the test of it holds at the false discovery rate `false_discovery` over all
    features. A partition of fewer than `rows` rows is pooled with those before it. `reference` is what the
    partition is held against: the whole training `window`, the `trailing` length of time before the
    partition, or the training rows of the same `season`; by default the season where there is time.
    """

    reference: Reference | None = None
    false_discovery: Share = 0.01
    rows: int = Field(default=500, ge=1)
    trailing: Duration = timedelta(days=28)
    share: Share = 0.5

    @classmethod
    def further(cls) -> dict[str, tuple[Any, Any]]:
        """The limits of the statistics."""
        return limits()

    def limit(self, statistic: Statistic) -> Any:
        """The limit of a statistic."""
        return getattr(self, statistic.name)


class Staleness(Described):
    """Retrain when this share of the data now in the training window came after the last training.

    A young pipeline, whose window is still filling, so learns often, and an old one seldom.
    """

    unseen: Share = 0.2


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

    on: tuple[Signal, ...] | None = None
    when: Frequency = Times(2, 3)
    cooldown: Partitions = 5
    budget: RetrainBudget = Budget(6, 30)
    refusals: int = Field(default=3, ge=1)


class Monitoring(Described):
    """What is watched every scored partition, and the policy that decides on a retraining."""

    performance: Performance = Performance()
    bias: Bias = Bias()
    drift: Drift = Drift()
    staleness: Staleness = Staleness()
    health: Health = Health()
    retrain: Retrain = Retrain()
