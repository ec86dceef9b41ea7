"""Parcels a day of up to 30 depots: the business grows by two thirds a year.

Volume is a depot's level times growth, a weekly pattern, a peak before Christmas, and days that are good or
bad for all depots (an autoregression). A strike stops a depot on one day in 300. Depots open one after
another.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from benchmarks.histories.history import BOOSTING, History, correlated, days

START, DAYS, DEPOTS = date(2020, 6, 1), 900, 30
WEEK = np.array([1.2, 1.1, 1.0, 1.0, 1.05, 0.55, 0.1])


def made() -> pd.DataFrame:
    """One row for each depot and day that it is open."""
    draw = np.random.default_rng(7)
    at = pd.date_range(START, periods=DAYS, freq="D", tz="UTC")
    day = np.arange(DAYS)
    peak = np.exp(-(((at.dayofyear.to_numpy() - 349) / 12) ** 2))
    common = 0.5 * day / 365 + np.log(WEEK[at.dayofweek]) + 0.6 * peak
    common = common + correlated(draw, DAYS, rho=0.6, spread=0.07)
    level = draw.normal(5, 0.5, DEPOTS)
    opened = np.where(np.arange(DEPOTS) < 22, 0, draw.integers(100, 700, DEPOTS))
    strike = draw.random((DAYS, DEPOTS)) < 1 / 300
    mean = np.exp(common[:, None] + level + draw.normal(0, 0.08, (DAYS, DEPOTS)))
    volume = draw.poisson(mean * np.where(strike, 0.05, 1.0))
    times = np.repeat(at, DEPOTS) + pd.to_timedelta(np.tile(np.arange(DEPOTS), DAYS), unit="s")
    rows = pd.DataFrame(
        {
            "at": times.as_unit("us"),
            "depot": np.tile(np.arange(DEPOTS), DAYS),
            "staff": np.exp(level - 4 + draw.normal(0, 0.1, (DAYS, DEPOTS))).round().ravel(),
            "volume": volume.ravel(),
        }
    )
    return rows[np.repeat(day, DEPOTS) >= np.tile(opened, DAYS)].reset_index(drop=True)


def build(rows: pd.DataFrame) -> pd.DataFrame:
    """Features of volume."""
    return rows[["depot", "staff"]].assign(
        weekday=rows["at"].dt.dayofweek, day_of_year=rows["at"].dt.dayofyear
    )


HISTORY = History(
    name="parcels",
    stands_for="a business that grows, whose newest days lie above all that a model has seen",
    grain="daily",
    task="regression",
    target="volume",
    metric="mae",
    drift="growth",
    partitions=DAYS,
    rows_a_partition=DEPOTS,
    start=START,
    training={"window": days(365), "minimum": 90, "holdout": days(14), "candidates": [BOOSTING]},
    made=made,
)
