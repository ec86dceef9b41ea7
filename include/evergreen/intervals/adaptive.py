"""Levels that follow, between trainings, how often the truth of the partitions since was held. Pure.

Adaptive conformal inference (Gibbs and Candès 2021): the share of misses that a level allows is moved by a
step times the share it should have less the share that was missed. No step size is right for all data, so
several run beside each other and count by how well they did (DtACI: Gibbs and Candès 2024, "Conformal
Inference for Online Prediction with Arbitrary Distribution Shifts"). Here a time step is a partition, whose
rows count alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

OVER = 100
"""How many partitions before one are learnt from at most."""

_STEPS = np.array([0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32])
_LEAST = -1.0  # of the share of misses: bounds of a thousand times the largest error of the folds
_TIE = 1e-12
_SHARED = 1 / (2 * OVER)  # of the weights, so that a step size that did badly can do well again


@dataclass(frozen=True)
class Seen:
    """A partition since the training: what p-value the truth of each of its n rows has under the version.

    Rows whose truth is not known are left out. `known` says of how many of the partitions before it, from the
    first on, the labels were known when it was scored.
    """

    p_values: Floats = field(repr=False)
    known: int


def adapted_levels(levels: Sequence[float], seen: Sequence[Seen], known: int) -> tuple[float, ...]:
    """The level that the bounds of a partition use in place of each promised one.

    `seen` are the partitions before it since the training, the oldest first, of which the labels of the first
    `known` are known. Without anything known it is the promise. It is at least 0 and may be more than 1, as
    `ConformalRegressor.stretched` says. A higher level never uses a lower one than a lower level does.
    """
    found = np.array([_adapted(level, seen, known) for level in levels])
    order = np.argsort(levels, kind="stable")
    found[order] = np.maximum.accumulate(found[order])
    return tuple(found.tolist())


def _adapted(level: float, seen: Sequence[Seen], known: int) -> float:
    """Each step size moves by what it missed with the level that it had when the partition was scored."""
    promised, rate = 1 - level, _rate(1 - level)
    missing = np.full(len(_STEPS), promised)
    weights = np.full(len(_STEPS), 1 / len(_STEPS))
    used: list[Floats] = []
    done = 0
    for place in range(len(seen) + 1):
        now = known if place == len(seen) else seen[place].known
        for one in seen[done : min(now, place)]:
            if len(one.p_values):
                off = one.p_values[:, None] - used[done]
                loss = (promised * off - np.minimum(off, 0)).mean(axis=0)
                weights = weights * np.exp(-rate * (loss - loss.min()))
                weights = (1 - _SHARED) * weights / weights.sum() + _SHARED / len(_STEPS)
                missed = (off <= _TIE).mean(axis=0)
                missing = np.clip(missing + _STEPS * (promised - missed), _LEAST, 1.0)
            done += 1
        used.append(missing)
    return level + float(weights @ (promised - missing))


def _rate(promised: float) -> float:
    """How fast weights follow the losses: the rate that the paper gives for stretches of `OVER` steps."""
    spread = (1 - promised) ** 2 * promised**3 + promised**2 * (1 - promised) ** 3
    return float(np.sqrt(3 / OVER * (np.log(len(_STEPS) * OVER) + 2) / spread))
