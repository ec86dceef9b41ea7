"""Energy of 20 buildings, by the day: heating in winter, cooling in summer, and a window of five months.

Energy rises below 14 degrees and, less, above 22. From one summer to the next more buildings have cooling.
The temperature is a yearly wave over an autoregression. Weekends use a third less.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from benchmarks.histories.history import RIDGE, History, correlated, days

START, DAYS, BUILDINGS = date(2021, 10, 1), 760, 20


def made() -> pd.DataFrame:
    """One row for each building and day."""
    draw = np.random.default_rng(13)
    at = pd.date_range(START, periods=DAYS, freq="D", tz="UTC")
    season = 2 * np.pi * (at.dayofyear.to_numpy() - 20) / 365.25
    temperature = 12 - 11 * np.cos(season) + correlated(draw, DAYS, rho=0.75, spread=3.5)
    cooled = np.arange(DAYS)[:, None] > draw.integers(0, 900, BUILDINGS)
    size = np.exp(draw.normal(4, 0.4, BUILDINGS))
    degrees = 0.05 * np.clip(14 - temperature, 0, None)[:, None]
    degrees = degrees + 0.06 * np.clip(temperature - 22, 0, None)[:, None] * cooled
    use = (1 + degrees) * np.where(at.dayofweek >= 5, 0.67, 1.0)[:, None] * size
    use = use * np.exp(draw.normal(0, 0.08, (DAYS, BUILDINGS)))
    times = np.repeat(at, BUILDINGS) + pd.to_timedelta(np.tile(np.arange(BUILDINGS), DAYS), unit="s")
    return pd.DataFrame(
        {
            "at": times.as_unit("us"),
            "size": np.tile(size, DAYS),
            "temperature": np.repeat(temperature, BUILDINGS),
            "energy": use.ravel(),
        }
    )


def build(rows: pd.DataFrame) -> pd.DataFrame:
    """Features of energy: linear in the temperature, as a first model would have them."""
    weekend = (rows["at"].dt.dayofweek >= 5).astype(float)
    return pd.DataFrame(
        {
            "size": rows["size"],
            "temperature": rows["temperature"],
            "for_size": rows["temperature"] * rows["size"],
            "weekend": weekend * rows["size"],
        }
    )


HISTORY = History(
    name="building_heat",
    stands_for="a season that a short window does not hold, so that the same change comes every year",
    grain="daily",
    task="regression",
    target="energy",
    metric="mae",
    drift="recurring",
    partitions=DAYS,
    rows_a_partition=BUILDINGS,
    start=START,
    training={"window": days(150), "minimum": 60, "holdout": days(14), "candidates": [RIDGE]},
    made=made,
)
