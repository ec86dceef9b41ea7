"""Levels of 24 river gauges, by the day, for four years: seasons and floods, and nothing changes.

Rain falls in spells (an autoregression) and more of it in winter; snow melts in April. The level follows
the rain of three days and a wetness of the soil that nobody measures, which an autoregression of weeks
stands for. So errors of neighbouring days are alike though the model is as good as ever.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from benchmarks.histories.history import RIDGE, History, correlated, days, with_gaps

START, DAYS, GAUGES = date(2016, 1, 1), 1100, 24


def made() -> pd.DataFrame:
    """One row for each gauge and day."""
    draw = np.random.default_rng(9)
    at = pd.date_range(START, periods=DAYS, freq="D", tz="UTC")
    season = 2 * np.pi * at.dayofyear.to_numpy() / 365.25
    spell = correlated(draw, DAYS, rho=0.7, spread=1.0)
    rain = np.exp(0.9 * spell + 0.3 * np.cos(season)) * (spell > -0.3)
    recent = rain + 0.6 * np.roll(rain, 1) + 0.3 * np.roll(rain, 2)
    melt = np.exp(-(((at.dayofyear.to_numpy() - 105) / 15) ** 2))
    soil = correlated(draw, DAYS, rho=0.9, spread=0.35)
    size = np.exp(draw.normal(0, 0.4, GAUGES))
    level = 2 + 0.5 * np.outer(recent + 3 * melt, size) + soil[:, None]
    level = level + draw.normal(0, 0.3, (DAYS, GAUGES))
    seen = np.outer(rain, np.ones(GAUGES)) * np.exp(draw.normal(0, 0.2, (DAYS, GAUGES)))
    times = np.repeat(at, GAUGES) + pd.to_timedelta(np.tile(np.arange(GAUGES), DAYS), unit="s")
    return pd.DataFrame(
        {
            "at": times.as_unit("us"),
            "size": np.tile(size, DAYS),
            "rain": with_gaps(draw, seen.ravel(), 0.02),
            "rain_before": np.repeat(np.roll(rain, 1), GAUGES),
            "level": level.ravel(),
        }
    )


def build(rows: pd.DataFrame) -> pd.DataFrame:
    """Features of levels."""
    day = rows["at"].dt.dayofyear
    melt = np.exp(-(((day - 105) / 15) ** 2))
    found = {"size": rows["size"], "rain": rows["rain"] * rows["size"]}
    found["rain_before"] = rows["rain_before"] * rows["size"]
    return pd.DataFrame({**found, "melt": melt * rows["size"]})


HISTORY = History(
    name="river_gauges",
    stands_for="a strong season and errors that last for days, but no drift at all",
    grain="daily",
    task="regression",
    target="level",
    metric="mae",
    drift="none",
    partitions=DAYS,
    rows_a_partition=GAUGES,
    start=START,
    training={"window": days(365), "minimum": 365, "holdout": days(28), "candidates": [RIDGE]},
    made=made,
)
