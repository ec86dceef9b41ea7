"""Load of 20 substations, by the hour, for two months: a factory begins night shifts.

A station's load has its own level, a daily curve, quieter weekends, and electric heating below 15 degrees.
The temperature is a daily wave over an autoregression. From a Monday on 6 of the 20 stations carry 35 %
more at night. Meters send no temperature in one row of 25.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from benchmarks.histories.history import BOOSTING, History, correlated, days, with_gaps

START, HOURS, STATIONS, BREAK = date(2024, 1, 8), 1440, 20, "2024-02-12T00"


def made() -> pd.DataFrame:
    """One row for each station and hour."""
    draw = np.random.default_rng(3)
    at = pd.date_range(START, periods=HOURS, freq="h", tz="UTC")
    hour, weekend = at.hour.to_numpy(), at.dayofweek.to_numpy() >= 5
    temperature = 6 + correlated(draw, HOURS, rho=0.985, spread=4) + 3 * np.sin((hour - 9) * np.pi / 12)
    curve = 1 + 0.35 * np.sin((hour - 8) * np.pi / 12) + 0.18 * np.cos((hour - 19) * np.pi / 6)
    common = curve * np.where(weekend, 0.85, 1.0) + 0.02 * np.clip(15 - temperature, 0, None)
    common = common * np.exp(correlated(draw, HOURS, rho=0.8, spread=0.03))
    level = np.exp(draw.normal(3, 0.5, STATIONS))
    night = (hour < 6) | (hour >= 22)
    shift = (at >= pd.Timestamp("2024-02-12", tz="UTC")) & night
    factor = 1 + 0.35 * np.outer(shift, np.arange(STATIONS) < 6)
    load = np.outer(common, level) * factor * np.exp(draw.normal(0, 0.05, (HOURS, STATIONS)))
    times = np.repeat(at, STATIONS) + pd.to_timedelta(np.tile(np.arange(STATIONS), HOURS), unit="s")
    return pd.DataFrame(
        {
            "at": times.as_unit("us"),
            "station": np.tile(np.arange(STATIONS), HOURS),
            "temperature": with_gaps(draw, np.repeat(temperature, STATIONS), 0.04),
            "load": load.ravel(),
        }
    )


def build(rows: pd.DataFrame) -> pd.DataFrame:
    """Features of load."""
    return rows[["station", "temperature"]].assign(hour=rows["at"].dt.hour, weekday=rows["at"].dt.dayofweek)


HISTORY = History(
    name="grid_load",
    stands_for="hourly data with a strong day and week, of which a part changes from one hour to the next",
    grain="hourly",
    task="regression",
    target="load",
    metric="mae",
    drift="abrupt",
    partitions=HOURS,
    rows_a_partition=STATIONS,
    start=START,
    training={"window": days(28), "minimum": 336, "holdout": days(3), "candidates": [BOOSTING]},
    breaks=(BREAK,),
    made=made,
)
