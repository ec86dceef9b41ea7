"""Temperatures of 30 pumps, by the hour: outliers and gaps, and nothing changes.

A bearing's temperature follows load, speed and the air, which has a daily wave. One reading in 100 is an
outlier of a loose contact, one in 20 has no load. Every pump has its own offset.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from benchmarks.histories.history import BOOSTING, History, correlated, days, with_gaps

START, HOURS, PUMPS = date(2024, 5, 6), 1000, 30


def made() -> pd.DataFrame:
    """One row for each pump and hour."""
    draw = np.random.default_rng(10)
    at = pd.date_range(START, periods=HOURS, freq="h", tz="UTC")
    hour = at.hour.to_numpy()
    air = 18 + 5 * np.sin((hour - 9) * np.pi / 12) + correlated(draw, HOURS, rho=0.9, spread=1.5)
    working = np.where((hour >= 6) & (hour < 22) & (at.dayofweek < 5), 0.75, 0.35)
    load = np.clip(working[:, None] + draw.normal(0, 0.12, (HOURS, PUMPS)), 0.02, 1)
    speed = 900 + 700 * load + draw.normal(0, 40, (HOURS, PUMPS))
    own = draw.normal(0, 3, PUMPS)
    heat = 10 + air[:, None] + 40 * load**1.5 + 0.004 * speed + own
    heat = heat + draw.normal(0, 1.2, (HOURS, PUMPS))
    heat = np.where(draw.random((HOURS, PUMPS)) < 0.01, heat + draw.normal(0, 40, (HOURS, PUMPS)), heat)
    times = np.repeat(at, PUMPS) + pd.to_timedelta(np.tile(np.arange(PUMPS), HOURS), unit="s")
    return pd.DataFrame(
        {
            "at": times.as_unit("us"),
            "pump": np.tile(np.arange(PUMPS), HOURS),
            "air": np.repeat(air, PUMPS),
            "load": with_gaps(draw, load.ravel(), 0.05),
            "speed": speed.ravel(),
            "heat": heat.ravel(),
        }
    )


def build(rows: pd.DataFrame) -> pd.DataFrame:
    """Features of temperatures."""
    return rows[["pump", "air", "load", "speed"]]


HISTORY = History(
    name="pump_sensors",
    stands_for="hourly sensors with outliers and gaps, but no drift at all",
    grain="hourly",
    task="regression",
    target="heat",
    metric="rmse",
    drift="none",
    partitions=HOURS,
    rows_a_partition=PUMPS,
    start=START,
    training={"window": days(21), "minimum": 168, "holdout": days(2), "candidates": [BOOSTING]},
    made=made,
)
