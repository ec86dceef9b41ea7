"""What the monitor flags as drift in simulations with a known truth: no change, one changed feature, seasons.

Rows are drawn day by day, counted into a reference and compared with it as in a night. The configured policy,
with `drift` as its only signal, decides what would have been trained. No model is involved.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.figure import Figure
from evergreen.drift.binning import Binning, binning, count_frame
from evergreen.monitoring.cells import Cells, count_cells
from evergreen.monitoring.drift import FeatureDrift, drift_of
from evergreen.monitoring.measure import measure as measure_partition
from evergreen.monitoring.policy import decide
from evergreen.monitoring.reference import PREDICTIONS, Reference
from evergreen.monitoring.season import Earlier, against, night_of
from evergreen.monitoring.trainings import Training
from evergreen.signals.record import Record
from evergreen.spec import Monitoring, Retrain, Spec, parse_spec

SEEDS = 20
NUMBERS, CATEGORIES, ROWS = 18, 2, 1_000
YEAR = 365
MILLISECONDS = 15
CHANGED = "n0"
SPEC = parse_spec(Path(__file__).parents[1] / "include/pipelines/bike_demand/pipeline.yaml")

Day = Callable[[str, np.random.Generator], pd.DataFrame]
"""Draws the rows of a day."""


def describe(**drift: object) -> Spec:
    """A daily description whose only signal is drift, with all defaults but those given."""
    monitoring = Monitoring.model_validate({"drift": drift, "retrain": {"on": ("drift",)}})
    assert monitoring.retrain == Retrain(on=("drift",))
    return SPEC.model_copy(update={"monitoring": monitoring})


def still(partition: str, draw: np.random.Generator, rows: int = ROWS) -> pd.DataFrame:
    """A day on which nothing is different: 18 numbers and 2 categories of five values."""
    numbers = {f"n{i}": draw.normal(size=rows) for i in range(NUMBERS)}
    kinds = np.array(list("abcde"), dtype=object)
    return pd.DataFrame({**numbers, **{f"c{i}": kinds[draw.integers(0, 5, rows)] for i in range(CATEGORIES)}})


def seasonal(partition: str, draw: np.random.Generator, rows: int = ROWS) -> pd.DataFrame:
    """A day of a year: each number follows a yearly sine of 2 sd, each with a phase of its own.

    The categories have a season too, and every third number is 1.5 sd higher at the weekend.
    """
    day = pd.Timestamp(partition)
    angle = 2 * np.pi * day.dayofyear / 365.25
    frame = still(partition, draw, rows)
    for i in range(NUMBERS):
        frame[f"n{i}"] += 2 * np.sin(angle + 2 * np.pi * i / NUMBERS)
        if i % 3 == 0 and day.dayofweek >= 5:
            frame[f"n{i}"] += 1.5
    for i in range(CATEGORIES):
        frame[f"c{i}"] = np.where(draw.random(rows) < 0.4 + 0.3 * np.sin(angle + i), "s", frame[f"c{i}"])
    return frame


def weekly(partition: str, draw: np.random.Generator, rows: int = ROWS) -> pd.DataFrame:
    """A day of a week: half of the numbers are 2 sd higher at the weekend, and it has half as many rows."""
    weekend = pd.Timestamp(partition).dayofweek >= 5
    frame = still(partition, draw, rows // 2 if weekend else rows)
    if weekend:
        frame[[f"n{i}" for i in range(NUMBERS // 2)]] += 2
    return frame


@dataclass
class World:
    """Days drawn one after the other, and the reference of a champion trained on the first of them."""

    spec: Spec
    day: Day
    seed: int
    first: str = "2023-01-01"
    window: int = YEAR
    records: list[Record] = field(default_factory=list)
    trainings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Draw the training window and count it."""
        self.draw = np.random.default_rng(self.seed)
        calendar = self.spec.calendar
        keys = list(calendar.between(self.first, calendar.shift(self.first, self.window - 1)))
        days = [self.day(key, self.draw) for key in keys]
        rows = pd.concat(days, ignore_index=True)
        partitions = pd.Series(np.repeat(keys, [len(day) for day in days]))
        self.binnings: dict[str, Binning] = {name: binning(rows[name]) for name in rows}
        self.cells: Cells = count_cells(calendar, self.binnings, rows, partitions)
        self.as_of = calendar.shift(keys[-1], 1)

    def night(self, partition: str, rows: pd.DataFrame | None = None) -> dict[str, FeatureDrift]:
        """What is found of a day, as the monitor measures it, the records before it known; and its record."""
        rows = self.day(partition, self.draw) if rows is None else rows
        counts = count_frame(self.binnings, rows)
        before = Earlier(self.spec, self.cells, self.records, partition=partition, version="v")
        night = night_of(self.spec, self.cells, partition, self.cells.flat(counts), before)
        held = against(self.spec, self.cells, night, before).sample
        found = drift_of(self.binnings, held, night.sample, self.spec.monitoring.drift)
        self.records.append(_record(partition, len(rows), found, counts))
        return found

    def days(self, count: int) -> Iterator[dict[str, FeatureDrift]]:
        """What is found on the days after the window, and whether each would lead to a training."""
        for number in range(count):
            partition = self.spec.calendar.shift(self.as_of, number)
            yield self.night(partition)
            trained = [Training(as_of, "promoted") for as_of in self.trainings]
            if decide(self.spec, self.records, trained).retrain:
                self.trainings.append(self.spec.calendar.shift(partition, 1))


def _record(partition: str, rows: int, found: dict[str, FeatureDrift], counts: dict) -> Record:
    return Record(
        partition=partition,
        version="v",
        rows=rows,
        labelled=0,
        metric="mae",
        error=None,
        promised=None,
        level=None,
        promised_level=None,
        drifted_share=sum(one.drifted for one in found.values()) / len(found),
        drift={name: one.to_dict() for name, one in found.items()},
        age=1,
        history=YEAR,
        counts={name: part.tolist() for name, part in counts.items()},
    )


@dataclass(frozen=True)
class Stretch:
    """A range of days: how many (feature, day) pairs were flagged as drifted, of how many, and trainings."""

    called: int
    pairs: int
    trainings: int


def stretch(world: World, days: int = YEAR) -> Stretch:
    """The monitor's results for the days after a world's window."""
    found = list(world.days(days))
    called = sum(one.drifted for night in found for one in night.values())
    return Stretch(called, sum(map(len, found)), len(world.trainings))


def shifted(frame: pd.DataFrame, draw: np.random.Generator) -> pd.DataFrame:
    """One feature 0.5 sd higher."""
    return frame.assign(**{CHANGED: frame[CHANGED] + 0.5})


def scaled(frame: pd.DataFrame, draw: np.random.Generator) -> pd.DataFrame:
    """One feature 1.5 times as wide."""
    return frame.assign(**{CHANGED: frame[CHANGED] * 1.5})


def emptied(frame: pd.DataFrame, draw: np.random.Generator) -> pd.DataFrame:
    """5 % more of one feature without a value."""
    return frame.assign(**{CHANGED: frame[CHANGED].where(draw.random(len(frame)) >= 0.05)})


def extended(frame: pd.DataFrame, draw: np.random.Generator) -> pd.DataFrame:
    """A new value in 2 % of one category."""
    return frame.assign(c0=frame["c0"].where(draw.random(len(frame)) >= 0.02, "new"))


CHANGES: dict[str, tuple[Callable[..., pd.DataFrame], str, int]] = {
    "mean shift of 0.5 sd": (shifted, CHANGED, 2),
    "scale x 1.5": (scaled, CHANGED, 3),
    "5 % more nulls": (emptied, CHANGED, 3),
    "a new category of 2 %": (extended, "c0", 3),
}
"""By name: the change, the feature it is of, and within how many partitions it must be seen."""


def missed(world: World, change: str, seed: int) -> bool:
    """Whether a change in a day drawn anew from the seed, and on the days after, is not seen in time."""
    apply, feature, within = CHANGES[change]
    world.draw = np.random.default_rng([seed, 1])
    world.records.clear()
    start = int(world.draw.integers(0, 300))
    keys = [world.spec.calendar.shift(world.as_of, start + n) for n in range(within)]
    nights = (world.night(key, apply(world.day(key, world.draw), world.draw)) for key in keys)
    return not any(night[feature].drifted for night in nights)


def milliseconds(days: int = 60, features: int = 31, rows: int = 24) -> float:
    """How long a day of an hourly table takes to measure, pooled with three weeks before; the median day."""
    spec, draw = describe(), np.random.default_rng(0)
    calendar, names = spec.calendar, [f"n{n}" for n in range(features)]
    keys = list(calendar.between("2023-01-01", "2023-12-31"))
    frame = pd.DataFrame(draw.normal(size=(YEAR * rows, features)), columns=names)
    made = {name: binning(frame[name]) for name in names}
    predicted = pd.DataFrame({PREDICTIONS: draw.normal(size=7 * rows)})
    of_predictions = {PREDICTIONS: binning(predicted[PREDICTIONS])}
    held = pd.Series(np.repeat(keys[-7:], rows))
    reference = Reference(
        binnings=made,
        cells=count_cells(calendar, made, frame, pd.Series(np.repeat(keys, rows))),
        predictions=of_predictions[PREDICTIONS],
        prediction_cells=count_cells(calendar, of_predictions, predicted, held),
        promised={"mae": 1.0},
        by_partition=dict.fromkeys(keys[-7:], 1.0),
        slices={},
        level=1.0,
        rows=len(frame),
    )
    records, spent = list[Record](), list[float]()
    for partition in calendar.between("2024-01-01", calendar.shift("2024-01-01", days - 1)):
        own = pd.DataFrame(draw.normal(size=(rows, features)), columns=names)
        predictions = pd.DataFrame({"prediction": own["n0"], "actual": own["n1"]})
        began = time.process_time()
        record = measure_partition(
            spec,
            reference,
            own,
            own,
            predictions,
            partition=partition,
            version="v",
            as_of="2024-01-01",
            published=keys,
            earlier=records,
        )
        spent.append(1_000 * (time.process_time() - began))
        records.append(record)
    return statistics.median(spent)


def measure() -> list[Figure]:
    """The table of worlds: 20 seeds of training windows, 100 of changes, each at its limit."""
    spec = describe()
    quiet: list[Stretch] = []
    misses: dict[str, list[bool]] = {name: [] for name in CHANGES}
    for seed in range(SEEDS):
        world = World(spec, still, seed)
        quiet.append(stretch(world))
        for name, found in misses.items():
            found += [missed(world, name, 5 * seed + n) for n in range(5)]
        print(f"  no change, seed {seed}: {quiet[-1]}", flush=True)
    seasons = {
        "a year's season, year two": [stretch(World(spec, seasonal, seed)) for seed in range(3)],
        "a year's season, trained in July": [
            stretch(World(spec, seasonal, seed, first="2023-07-10")) for seed in range(3)
        ],
        "a week's pattern": [stretch(World(spec, weekly, seed)) for seed in range(3)],
        "a season, window of 90 days": [
            stretch(World(spec, seasonal, seed, first="2023-08-01", window=90)) for seed in range(3)
        ],
    }
    for name, found in seasons.items():
        print(f"  {name}: {found}", flush=True)
    return [
        Figure("no drift: false retrainings a year", _mean([one.trainings for one in quiet]), "", 1),
        Figure("no drift: (feature, day) pairs called drifted", _called(quiet), "%", 1),
        *(
            Figure(f"{name}: missed in {CHANGES[name][2]} partitions", 100 * _mean(found), "%", 5)
            for name, found in misses.items()
        ),
        *(
            Figure(f"{name}: retrainings a year", _mean([one.trainings for one in found]), "", 0)
            for name, found in seasons.items()
        ),
        *(Figure(f"{name}: pairs called", _called(found), "%", 5) for name, found in seasons.items()),
        Figure("measuring a day of 24 rows x 31 features", milliseconds(), "ms", MILLISECONDS),
    ]


def _mean(values: list[int] | list[bool]) -> float:
    found: NDArray[np.float64] = np.asarray(values, dtype=np.float64)
    return float(found.mean())


def _called(found: list[Stretch]) -> float:
    return 100 * sum(one.called for one in found) / sum(one.pairs for one in found)
