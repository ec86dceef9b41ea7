"""What adapting between trainings does to intervals: in worlds that drift, and over replayed histories.

Printed are the coverage of all rows, that of the worst 20 partitions on end or of the worst month, and the
mean width, without and with `adapt`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.figure import Figure
from benchmarks.histories import HISTORIES
from evergreen.backtest.policies import parse_policy
from evergreen.backtest.run import run_policies
from evergreen.intervals.adaptive import OVER, Seen, adapted_levels
from evergreen.intervals.conformal import ConformalRegressor
from evergreen.signals.record import Record
from evergreen.spec.intervals import Intervals

Floats = NDArray[np.float64]

SEEDS, PARTITIONS, ROWS, CALIBRATED = 4, 200, 24, 400
LEVELS = (0.9, 0.99)
WORLDS: Mapping[str, Callable[[int], tuple[float, float]]] = {
    "still": lambda at: (1.0, 0.0),
    "errors double at once": lambda at: (1 + (at >= 60), 0.0),
    "errors grow": lambda at: (1 + 1.5 * at / PARTITIONS, 0.0),
    "errors shrink": lambda at: (1 - 0.6 * at / PARTITIONS, 0.0),
    "a season": lambda at: (1 + 0.6 * np.sin(2 * np.pi * at / 90), 0.0),
    "20 bad partitions": lambda at: (1 + 2.0 * (60 <= at < 80), 0.0),
    "a bias": lambda at: (1.0, 1.5 * (at >= 60)),
}
"""How large errors are in a partition since the training, and what they have in common."""
REPLAYED = {"bike_rentals": "every 30"}
"""Histories that are replayed, and how often a model is trained."""


def measure() -> list[Figure]:
    """Tables of all worlds and histories; the figures are how far 90% is off with `adapt`."""
    for name, world in WORLDS.items():
        for delay in (0, 7):
            for level in LEVELS:
                _print(f"{name}, labels {delay} later, {level:.0%}", *_world(world, level, delay))
    return [
        Figure(f"{name}: 90% intervals that adapt, from the promise", 100 * off, "points", 5)
        for name, policy in REPLAYED.items()
        if (off := _replayed(name, policy)) is not None
    ]


def _world(world: Callable[[int], tuple[float, float]], level: float, delay: int) -> list[Floats]:
    """Coverage, that of the worst 20 partitions and width, the mean of the seeds: without and with."""
    found = [[_run(world, level, delay, seed, adapt) for seed in range(SEEDS)] for adapt in (False, True)]
    return [np.mean(of, axis=0) for of in found]


def _run(
    world: Callable[[int], tuple[float, float]], level: float, delay: int, seed: int, adapt: bool
) -> tuple[float, float, float]:
    draw = np.random.default_rng(seed)

    def rows(count: int, size: float, bias: float) -> tuple[Floats, Floats]:
        mean = draw.uniform(1, 10, count)
        return mean, mean + mean / 5 * (size * (draw.normal(size=count) + draw.normal(0, 0.5)) + bias)

    parts = [rows(20, 1.0, 0.0) for _ in range(CALIBRATED // 20)]
    predicted, actual = (np.concatenate(one) for one in zip(*parts, strict=True))
    model = ConformalRegressor(None, (level,))
    model.calibrate(predicted, actual, np.arange(CALIBRATED) * 4 // CALIBRATED)
    ranks: list[Floats] = []
    held, widths = [], []
    for at in range(PARTITIONS):
        predicted, actual = rows(ROWS, *world(at))
        used = _level(level, ranks, delay) if adapt else level
        bounds = model.stretched(predicted, [used])[:, 0]
        held.append(((bounds[:, 0] <= actual) & (actual <= bounds[:, 1])).mean())
        widths.append((bounds[:, 1] - bounds[:, 0]).mean())
        ranks.append(model.p_values(predicted, actual))
    worst = np.convolve(held, np.full(20, 1 / 20), "valid").min()
    return float(np.mean(held)), float(worst), float(np.mean(widths))


def _level(level: float, ranks: Sequence[Floats], delay: int) -> float:
    end = max(0, len(ranks) - delay)
    known = ranks[max(0, end - OVER) : end]
    seen = [Seen(found, max(0, at - delay)) for at, found in enumerate(known)]
    return adapted_levels((level,), seen, len(seen))[0]


def _replayed(name: str, policy: str) -> float | None:
    history = HISTORIES[name]
    if why := history.missing():
        print(f"  left out: {name}: {why}", flush=True)
        return None
    first = history.spec.calendar.shift(history.keys[0], history.minimum)
    found = []
    for adapt in (False, True):
        spec = history.spec.model_copy(update={"intervals": Intervals(levels=LEVELS, adapt=adapt)})
        rows, last = history.rows(), history.keys[-1]
        (result,) = run_policies(spec, rows, [parse_policy(policy)], first, last, workers=1)
        found.append([night.record for night in result.nights if night.record.coverage])
    for number, level in enumerate(LEVELS):
        _print(f"{name}, {policy}, {level:.0%}", *(_of_records(records, number) for records in found))
    return abs(_of_records(found[1], 0)[0] - LEVELS[0])


def _of_records(records: Sequence[Record], number: int) -> Floats:
    months: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        months[record.partition[:7]].append(record)
    worst = min(_pooled(of, number)[0] for of in months.values())
    share, width = _pooled(records, number)
    return np.array([share, worst, width])


def _pooled(records: Sequence[Record], number: int) -> tuple[float, float]:
    of = [record.coverage[number] for record in records]
    rows = sum(one["rows"] for one in of)
    return sum(one["covered"] for one in of) / rows, sum(one["rows"] * one["width"] for one in of) / rows


def _print(what: str, without: Floats, with_: Floats) -> None:
    told = [f"{one[0]:.1%}, worst {one[1]:.1%}, width {one[2]:.4g}" for one in (without, with_)]
    print(f"  {what}: {told[0]}; with adapt {told[1]}", flush=True)
