"""Prices of power, 24 a day: what wind, sun and gas weigh walks at random, and there are spikes.

A price is a sum of load, wind, sun and gas whose weights walk at random from day to day. Its noise is that
of a t distribution with three degrees of freedom, larger in the evening.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from benchmarks.histories.history import RIDGE, History, correlated, days

START, DAYS = date(2020, 1, 1), 820


def made() -> pd.DataFrame:
    """One row for each hour."""
    draw = np.random.default_rng(15)
    hours = DAYS * 24
    at = pd.date_range(START, periods=hours, freq="h", tz="UTC")
    hour, season = at.hour.to_numpy(), 2 * np.pi * at.dayofyear.to_numpy() / 365.25
    load = 50 + 8 * np.sin((hour - 8) * np.pi / 12) + 5 * np.cos(season) - 4 * (at.dayofweek >= 5)
    load = load + correlated(draw, hours, rho=0.95, spread=2)
    wind = np.exp(correlated(draw, hours, rho=0.98, spread=0.6) + 0.2 * np.cos(season)) * 8
    sun = np.clip(np.sin((hour - 6) * np.pi / 12), 0, None) * (6 - 4 * np.cos(season))
    gas = np.repeat(20 + np.cumsum(draw.normal(0, 0.25, DAYS)), 24)
    start, step = np.array([0.9, -0.8, -0.9, 1.2]), np.array([0.012, 0.012, 0.015, 0.015])
    weights = np.repeat(start + np.cumsum(draw.normal(0, 1, (DAYS, 4)) * step, axis=0), 24, axis=0)
    price = (weights * np.column_stack([load, wind, sun, gas])).sum(axis=1)
    price += draw.standard_t(3, hours) * np.where((hour >= 17) & (hour < 21), 4.0, 2.0)
    return pd.DataFrame(
        {"at": at.as_unit("us"), "load": load, "wind": wind, "sun": sun, "gas": gas, "price": price}
    )


def build(rows: pd.DataFrame) -> pd.DataFrame:
    """Features of prices."""
    evening = ((rows["at"].dt.hour >= 17) & (rows["at"].dt.hour < 21)).astype(float)
    return rows[["load", "wind", "sun", "gas"]].assign(evening=evening)


HISTORY = History(
    name="power_prices",
    stands_for="weights that walk at random every day, under noise with spikes",
    grain="daily",
    task="regression",
    target="price",
    metric="mae",
    drift="gradual",
    partitions=DAYS,
    rows_a_partition=24,
    start=START,
    training={"window": days(120), "minimum": 60, "holdout": days(14), "candidates": [RIDGE]},
    made=made,
)
