"""What intervals promise and what they hold: in simulated worlds, and over years that are replayed.

In a world the rows are drawn, so the truth is known. The scale by bins of the prediction is compared with a
constant one, with residuals boosted on the features, and with conformalised quantile regression (Romano,
Patterson and Candes 2019), by the mean interval score of Gneiting and Raftery (2007): the width, and
2 / (1 - level) times how far the truth is outside. Lower is better.
"""

from __future__ import annotations

import importlib
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor

from benchmarks.figure import Figure
from benchmarks.histories import HISTORIES
from evergreen.backtest.policies import parse_policy
from evergreen.backtest.run import run_policies
from evergreen.intervals.conformal import ConformalRegressor
from evergreen.signals.record import Record
from evergreen.spec.intervals import Intervals

Floats = NDArray[np.float64]
Bounds = dict[str, Floats]

SEEDS = 20
ROWS, UNSEEN, FOLDS = 1_500, 2_000, 5
LEVELS = (0.8, 0.9, 0.95, 0.99)
MAIN = 0.9
REPLAYED = {
    "bike_rentals": "every 30",
    "power_prices": "every 30",
    "river_gauges": "every 30",
    "building_heat": "every 30",
    "parcels": "every 30",
    "repair_claims": "every 4",
}
"""Histories that are replayed, and how often a model is trained."""
OURS = "bins of the prediction"


@dataclass(frozen=True)
class World:
    """Rows of five features whose mean is known: `noise` draws the errors from features (n, 5) and time (n,).

    The rows learnt from are at times 0 to 1, those that are measured right after.
    """

    noise: Callable[[np.random.Generator, Floats, Floats], Floats]
    exchangeable: bool = True

    def rows(self, seed: int) -> tuple[pd.DataFrame, Floats]:
        """Features (n, 5) and truth (n,), those learnt from first."""
        draw = np.random.default_rng([seed, 17])
        x = draw.uniform(-1, 1, (ROWS + UNSEEN, 5))
        time = np.append(np.sort(draw.uniform(0, 1, ROWS)), np.sort(draw.uniform(1, 1.5, UNSEEN)))
        mean = 10 + 4 * x[:, 0] + 2 * np.sin(3 * x[:, 1]) + x[:, 2] * x[:, 0]
        return pd.DataFrame(x, columns=list("abcde")), mean + self.noise(draw, x, time)


WORLDS = {
    "even": World(lambda draw, x, time: draw.normal(size=len(x))),
    "grows with the prediction": World(lambda draw, x, time: draw.normal(size=len(x)) * np.exp(x[:, 0])),
    "grows with another feature": World(
        lambda draw, x, time: draw.normal(size=len(x)) * np.exp(1.2 * x[:, 3])
    ),
    "skewed": World(lambda draw, x, time: draw.exponential(size=len(x)) - 1),
    "heavy tails": World(lambda draw, x, time: draw.standard_t(2.5, len(x))),
    "grows with time": World(
        lambda draw, x, time: draw.normal(size=len(x)) * (0.5 + time), exchangeable=False
    ),
}


def measure() -> list[Figure]:
    """Tables of all worlds and histories; the figures are the largest distances from the promise."""
    far = max(_world(name, world) for name, world in WORLDS.items() if world.exchangeable)
    for name, world in WORLDS.items():
        if not world.exchangeable:
            _world(name, world)
    for name in HISTORIES:
        _compared(name)
    years = {name: _replayed(name, policy) for name, policy in REPLAYED.items()}
    return [
        Figure("coverage of exchangeable worlds, furthest from its promise", 100 * far, "points", 2),
        *(
            Figure(f"{name}: 90% intervals over all years, from the promise", 100 * found, "points", 7)
            for name, found in years.items()
            if found is not None
        ),
    ]


def score(actual: Floats, bounds: Floats, level: float) -> float:
    """The mean interval score of bounds (n, 2), in the unit of the truth (n,)."""
    below, above = bounds[:, 0] - actual, actual - bounds[:, 1]
    outside = np.maximum(below, 0) + np.maximum(above, 0)
    return float(np.mean(bounds[:, 1] - bounds[:, 0] + 2 / (1 - level) * outside))


def held(actual: Floats, bounds: Floats) -> float:
    """The share of the truth (n,) within bounds (n, 2)."""
    return float(((bounds[:, 0] <= actual) & (actual <= bounds[:, 1])).mean())


def _world(name: str, world: World) -> float:
    """Print a world's table; returns how far the mean coverage of a level is from its promise, at most."""
    of_level: Mapping[float, list[float]] = defaultdict(list)
    of_scale: Mapping[str, list[tuple[float, float]]] = defaultdict(list)
    for seed in range(SEEDS):
        x, y = world.rows(seed)
        learnt = Learnt.of(x[:ROWS], y[:ROWS])
        unseen, truth = x[ROWS:], y[ROWS:]
        for number, level in enumerate(LEVELS):
            of_level[level].append(held(truth, learnt.ours.predict_interval(unseen)[:, number]))
        for scale, bounds in learnt.bounds(unseen).items():
            of_scale[scale].append((held(truth, bounds), score(truth, bounds, MAIN)))
    found = ", ".join(
        f"{level:.0%} {np.mean(of):.1%} ({min(of):.1%} to {max(of):.1%})" for level, of in of_level.items()
    )
    print(f"  {name}, {SEEDS} seeds, promised and found: {found}", flush=True)
    _print_scales(name, {scale: np.mean(of, axis=0) for scale, of in of_scale.items()})
    return max(abs(float(np.mean(of)) - level) for level, of in of_level.items())


def _compared(name: str) -> None:
    """Print the scales' coverage and scores on the tenth of a regression's history after its training."""
    history = HISTORIES[name]
    if history.task != "regression" or history.missing():
        return
    rows = history.rows().dropna(subset=[history.target])
    window = history.spec.calendar.about(history.spec.training.window)
    keys, end = history.keys, int(0.6 * history.partitions)
    known = rows["partition"].isin(keys[max(0, end - window) : end]).to_numpy()
    follows = rows["partition"].isin(keys[end : end + max(1, history.partitions // 10)]).to_numpy()
    x = importlib.import_module(f"benchmarks.histories.{name}").build(rows)
    y = rows[history.target].to_numpy(dtype=np.float64)
    learnt = Learnt.of(x[known], y[known])
    found = learnt.bounds(x[follows])
    _print_scales(
        name, {s: np.array([held(y[follows], b), score(y[follows], b, MAIN)]) for s, b in found.items()}
    )


def _print_scales(name: str, found: Mapping[str, Floats]) -> None:
    best = found[OURS][1]
    told = ", ".join(f"{scale} {one[0]:.1%} {one[1] / best:.3f}" for scale, one in found.items())
    print(f"  {name}, 90%: coverage, and interval score over that of the bins: {told}", flush=True)


def _replayed(name: str, policy: str) -> float | None:
    """Print what the intervals of a history hold under a schedule; how far 90% is off over all rows."""
    history = HISTORIES[name]
    if why := history.missing():
        print(f"  left out: {name}: {why}", flush=True)
        return None
    spec = history.spec.model_copy(update={"intervals": Intervals(levels=LEVELS)})
    first = spec.calendar.shift(history.keys[0], history.minimum)
    (result,) = run_policies(spec, history.rows(), [parse_policy(policy)], first, history.keys[-1], workers=1)
    records = [record for record in result.records if record.coverage]
    months: Mapping[str, list[Record]] = defaultdict(list)
    for record in records:
        months[record.partition[:7]].append(record)
    usual = float(np.median([_rows(of) for of in months.values()]))
    whole = {month: of for month, of in months.items() if _rows(of) >= usual / 2}
    for number, level in enumerate(LEVELS):
        shares = {month: _share(of, number) for month, of in whole.items()}
        worst = min(shares, key=lambda month: shares[month])
        print(
            f"  {name}, {policy} ({result.trainings} trainings): {level:.0%} promised, "
            f"{_share(records, number):.1%} found, worst month {worst} {shares[worst]:.1%}",
            flush=True,
        )
        if level == MAIN:
            print("    " + ", ".join(f"{month} {share:.0%}" for month, share in shares.items()), flush=True)
    return abs(_share(records, LEVELS.index(MAIN)) - MAIN)


def _rows(records: list[Record]) -> int:
    return sum(record.labelled for record in records)


def _share(records: list[Record], number: int) -> float:
    of = [record.coverage[number] for record in records]
    return sum(one["covered"] for one in of) / sum(one["rows"] for one in of)


@dataclass(frozen=True)
class Learnt:
    """A model with intervals from the same folds by several scales. Folds follow one another in time."""

    ours: ConformalRegressor
    constant: float
    residuals: HistGradientBoostingRegressor
    of_residuals: float
    least: float
    quantiles: tuple[HistGradientBoostingRegressor, HistGradientBoostingRegressor]
    of_quantiles: float

    @classmethod
    def of(cls, x: pd.DataFrame, y: Floats) -> Learnt:
        """From n rows in the order of time: as many folds, each predicted from the rows before it."""
        parts = np.array_split(np.arange(len(y)), FOLDS + 1)
        after = [(np.concatenate(parts[:at]), parts[at]) for at in range(1, FOLDS + 1)]
        places, fold = (
            np.concatenate([own for _, own in after]),
            np.repeat(range(FOLDS), [len(p) for p in parts[1:]]),
        )
        predicted = np.concatenate([_fit(x.iloc[b], y[b]).predict(x.iloc[own]) for b, own in after])
        quantiles = np.concatenate(
            [
                np.column_stack([m.predict(x.iloc[own]) for m in _quantiles(x.iloc[b], y[b])])
                for b, own in after
            ]
        )
        actual, seen = y[places], x.iloc[places]
        model, off = _fit(x, y), np.abs(actual - predicted)
        least = 0.05 * float(off.mean())
        scores = np.concatenate(
            [
                off[fold == at]
                / np.maximum(_fit(seen[fold < at], off[fold < at]).predict(seen[fold == at]), least)
                for at in range(1, FOLDS)
            ]
        )
        return cls(
            ConformalRegressor(model, LEVELS).calibrate(predicted, actual, fold),
            _quantile(off),
            _fit(seen, off),
            _quantile(scores),
            least,
            _quantiles(x, y),
            _quantile(np.maximum(quantiles[:, 0] - actual, actual - quantiles[:, 1])),
        )

    def bounds(self, x: pd.DataFrame) -> Bounds:
        """The bounds (n, 2) of 90% of each scale."""
        predicted = self.ours.predict(x)
        spread = np.maximum(self.residuals.predict(x), self.least) * self.of_residuals
        low, high = (one.predict(x) for one in self.quantiles)
        return {
            OURS: self.ours.predict_interval(x, (MAIN,))[:, 0],
            "constant": np.column_stack([predicted - self.constant, predicted + self.constant]),
            "boosted residuals": np.column_stack([predicted - spread, predicted + spread]),
            "quantile regression": np.column_stack([low - self.of_quantiles, high + self.of_quantiles]),
        }


def _fit(x: pd.DataFrame, y: Floats) -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(max_iter=60, max_leaf_nodes=15, random_state=0).fit(x, y)


def _quantiles(
    x: pd.DataFrame, y: Floats
) -> tuple[HistGradientBoostingRegressor, HistGradientBoostingRegressor]:
    """Boosting of the quantiles that 90% lie between."""
    shape = {"loss": "quantile", "max_iter": 60, "max_leaf_nodes": 15, "random_state": 0}
    return tuple(HistGradientBoostingRegressor(quantile=q, **shape).fit(x, y) for q in (0.05, 0.95))


def _quantile(scores: Floats) -> float:
    """The ceil((n + 1) level)-th smallest score."""
    place = int(np.ceil((len(scores) + 1) * MAIN)) - 1
    return float(np.sort(scores)[place])
