"""A history: rows over time, with a plain description, on which the default policy is tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from evergreen.calendar import Calendar, Length
from evergreen.lake import PARTITION
from evergreen.spec import Spec

FOLDER = Path(__file__).resolve().parent

Drift = Literal["none", "abrupt", "gradual", "recurring", "covariate", "growth"]

_CRON = {"hourly": "@hourly", "daily": "@daily", "weekly": "@weekly", "monthly": "@monthly"}

_SCALED = ["sklearn.impute.SimpleImputer", "sklearn.preprocessing.StandardScaler"]

RIDGE: Mapping[str, Any] = {"estimator": "sklearn.linear_model.Ridge", "preprocess": _SCALED}
LOG_RIDGE: Mapping[str, Any] = {**RIDGE, "target_transform": "log1p"}
LOGISTIC: Mapping[str, Any] = {"estimator": "sklearn.linear_model.LogisticRegression", "preprocess": _SCALED}
_SMALL = {"max_iter": 60, "max_leaf_nodes": 15}
BOOSTING: Mapping[str, Any] = {
    "estimator": "sklearn.ensemble.HistGradientBoostingRegressor",
    "params": _SMALL,
}
BOOSTED_CLASSES: Mapping[str, Any] = {
    "estimator": "sklearn.ensemble.HistGradientBoostingClassifier",
    "params": _SMALL,
}


@dataclass(frozen=True, kw_only=True)
class History:
    """One history of the suite.

    `made` gives its rows with the event time `at` (in UTC); its features are those of the function `build` in
    the module `name`. The rows begin with the partition that holds the day `start`. `breaks` are the true
    days (or hours) of abrupt change, where the rows are made. `missing` says why there are no rows; None if
    there are. The description has neither `monitoring` nor `gate`: what is tried are the defaults.
    """

    name: str
    stands_for: str
    grain: Literal["hourly", "daily", "weekly", "monthly"]
    task: Literal["regression", "classification"]
    target: str
    metric: str
    drift: Drift
    partitions: int
    rows_a_partition: int
    start: date
    training: Mapping[str, Any]
    made: Callable[[], pd.DataFrame]
    breaks: tuple[str, ...] = ()
    delay: int = 0
    missing: Callable[[], str | None] = field(default=lambda: None)

    @cached_property
    def spec(self) -> Spec:
        """The plain description."""
        source = {"file": {"path": "rows/{partition}.csv", "time_column": "at"}}
        labels = {"labels": {"source": {"file": {"path": "labels/{partition}.csv", "time_column": "at"}}}}
        return Spec.model_validate(
            {
                "name": self.name,
                "description": self.stands_for,
                "owner": "benchmarks",
                "schedule": _CRON[self.grain],
                "start": self.start,
                "partition": self.grain,
                "sources": {"rows": source},
                "features": {"function": f"{self.name}.py:build"},
                "task": self.task,
                "target": self.target,
                "training": {"metric": self.metric, **self.training},
                "folder": FOLDER,
                **({"labels": {**labels["labels"], "delay": self.delay}} if self.delay else {}),
            }
        )

    @cached_property
    def keys(self) -> list[str]:
        """The keys of all partitions."""
        calendar = self.spec.calendar
        first = calendar.key_of_day(self.start)
        return list(calendar.between(first, calendar.shift(first, self.partitions - 1)))

    @property
    def minimum(self) -> int:
        """How many partitions a first training needs."""
        return self.spec.calendar.about(self.spec.training.minimum)

    @property
    def years(self) -> float:
        """How long the scored part is, in years."""
        return max(0, self.partitions - self.minimum) / self.spec.calendar.a_year

    def rows(self) -> pd.DataFrame:
        """The rows with `partition`, in the order of time."""
        calendar, keys = self.spec.calendar, self.keys
        edges = pd.DatetimeIndex([*map(calendar.start, keys), calendar.end(keys[-1])])
        rows = self.made().sort_values("at", kind="stable")
        rows = rows[(rows["at"] >= edges[0]) & (rows["at"] < edges[-1])].reset_index(drop=True)
        places = edges.searchsorted(rows["at"], side="right") - 1
        return rows.assign(**{PARTITION: np.asarray(keys, dtype=object)[places].astype(str)})

    def shortened(self, partitions: int) -> History:
        """The history's first partitions."""
        breaks = tuple(key for key in self.breaks if key in self.keys[:partitions])
        return replace(self, partitions=partitions, breaks=breaks)

    def schedules(self) -> list[int]:
        """Five fixed schedules, in partitions, evenly spread by ratio.

        From the shortest that is usual for the grain to the one that trains three times.
        """
        shortest = {"hourly": 24, "daily": 7, "weekly": 2, "monthly": 1}[self.grain]
        scored = self.partitions - self.minimum
        return sorted({round(step) for step in np.geomspace(shortest, max(scored / 3, 2 * shortest), 5)})


@dataclass(frozen=True)
class Moments:
    """When n rows happen: `at` in UTC, and the `place` (n,) of each row's partition, from 0."""

    at: pd.DatetimeIndex
    place: np.ndarray[Any, np.dtype[np.intp]]

    @property
    def day(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Days since the first midnight, with fractions."""
        since = self.at - self.at[0].normalize()
        return np.asarray(since / pd.Timedelta(days=1), dtype=np.float64)

    @property
    def hour(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The hour of the day, with fractions."""
        return (self.day % 1) * 24

    @property
    def weekday(self) -> np.ndarray[Any, np.dtype[np.intp]]:
        """0 for a Monday to 6 for a Sunday."""
        return np.asarray(self.at.dayofweek)

    @property
    def season(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The time of the year as an angle in radians."""
        return 2 * np.pi * np.asarray(self.at.dayofyear, dtype=np.float64) / 365.25

    def since(self, key: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Whether each row happens at or after the beginning of a day or hour, in UTC."""
        return np.asarray(self.at >= pd.Timestamp(key, tz="UTC"))


def moments(
    grain: str, start: date, counts: np.ndarray[Any, np.dtype[np.int64]], draw: np.random.Generator
) -> Moments:
    """So many rows in each partition from the day `start` on, evenly at random within it."""
    calendar = Calendar(Spec.model_fields["partition"].annotation(grain))  # type: ignore[misc]
    first = calendar.key_of_day(start)
    keys = list(calendar.between(first, calendar.shift(first, len(counts))))
    edges = pd.DatetimeIndex([calendar.start(key) for key in keys]).as_unit("us").asi8
    place = np.repeat(np.arange(len(counts)), counts)
    within = draw.random(len(place)) * (edges[place + 1] - edges[place] - 1)
    at = np.sort(edges[place] + within.astype(np.int64))
    return Moments(pd.DatetimeIndex(at.view("M8[us]")).tz_localize("UTC"), place)


def correlated(
    draw: np.random.Generator, count: int, *, rho: float, spread: float
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """An autoregression of order one (count,) with this correlation and standard deviation, of mean 0."""
    shocks = draw.normal(size=count) * spread * np.sqrt(1 - rho**2)
    shocks[0] = draw.normal() * spread
    values = np.empty(count)
    last = 0.0
    for place, shock in enumerate(shocks):
        last = values[place] = rho * last + shock
    return values


def with_gaps(
    draw: np.random.Generator, values: np.ndarray[Any, np.dtype[np.float64]], share: float
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The values, with this share of them missing at random."""
    return np.where(draw.random(len(values)) < share, np.nan, values)


def days(count: int) -> Length:
    """A length of event time."""
    return Length(count, "day")
