"""Whether a model's predictions say more than their own order at random: a permutation test. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from evergreen.metrics import metric_named
from evergreen.metrics.measured import Measured

# More rows than these tell no more of whether there is anything but chance, and cost as many metrics.
_MOST_ROWS = 20_000
# How many times finer the test looks than the level asks for.
_FINER = 5


@dataclass(frozen=True)
class Chance:
    """A metric of `orders` random orders of a model's predictions; of `as_good` it was at least as good."""

    orders: int
    as_good: int

    @property
    def probability(self) -> float:
        """How probable such a metric is if the truth has nothing to do with the predictions: the p value."""
        return (1 + self.as_good) / (1 + self.orders)

    def to_dict(self) -> dict[str, Any]:
        """The counts as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Chance:
        """The counts that `to_dict` wrote."""
        return cls(**content)


def chance(metric: str, own: Measured, level: float, seed: int) -> Chance:
    """Compare a metric of n rows with that of the same predictions in random orders (seeded).

    If the truth has nothing to do with the predictions, every order is as likely to be the best, so
    `probability` is at most p with the probability p, exactly, for any metric (Ojala and Garriga 2010,
    "Permutation tests for studying classifier performance", Journal of Machine Learning Research 11; Phipson
    and Smyth 2010, "Permutation p-values should never be zero", Statistical Applications in Genetics and
    Molecular Biology 9). Orders are drawn until it is certain that `probability` is above `level`, at most
    five times as many as needed to get below it. Above 20,000 rows, that many of them are drawn. An order
    whose metric cannot be computed counts as good.
    """
    random = np.random.default_rng([seed, 2])
    if len(own) > _MOST_ROWS:
        own = own.taken(random.choice(len(own), _MOST_ROWS, replace=False))
    of = metric_named(metric)
    value = own.value(metric)
    most = _FINER * math.ceil(1 / level) - 1
    as_good = drawn = 0
    while drawn < most and (1 + as_good) / (1 + most) <= level:
        order = random.permutation(len(own))
        dealt = replace(
            own,
            predicted=own.predicted[order],
            probabilities=None if own.probabilities is None else own.probabilities[order],
        )
        as_good += not of.loss(value, dealt.value(metric)) < 0
        drawn += 1
    return Chance(drawn, as_good)
