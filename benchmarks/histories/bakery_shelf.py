"""Pieces sold a day of each of 20 products: tastes change slowly.

The logarithm of a product's level walks at random (0.012 a day). Sales are Poisson, with a weekly pattern,
a yearly one, an elasticity of -1.4 of the price, a promotion now and then, and days that are good or bad
for all products together (an autoregression). One day in 60 the oven fails and half is sold.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from benchmarks.histories.history import LOG_RIDGE, History, correlated, days

START, DAYS, PRODUCTS = date(2021, 1, 1), 640, 20
WEEK = np.array([0.9, 0.85, 0.9, 1.0, 1.2, 1.5, 0.65])


def made() -> pd.DataFrame:
    """One row for each product and day."""
    draw = np.random.default_rng(2)
    level = draw.normal(2.4, 0.7, PRODUCTS) + np.cumsum(draw.normal(0, 0.012, (DAYS, PRODUCTS)), axis=0)
    day = np.arange(DAYS)
    at = pd.date_range(START, periods=DAYS, freq="D", tz="UTC")
    common = correlated(draw, DAYS, rho=0.5, spread=0.12) + 0.2 * np.cos(2 * np.pi * (day - 350) / 365.25)
    common += np.log(WEEK[at.dayofweek]) + np.where(draw.random(DAYS) < 1 / 60, np.log(0.5), 0.0)
    price = np.exp(draw.normal(0, 0.08, (DAYS, PRODUCTS)))
    promoted = draw.random((DAYS, PRODUCTS)) < 0.07
    mean = np.exp(level + common[:, None] - 1.4 * np.log(price) + 0.35 * promoted)
    times = np.repeat(at, PRODUCTS) + pd.to_timedelta(np.tile(np.arange(PRODUCTS), DAYS), unit="s")
    return pd.DataFrame(
        {
            "at": times.as_unit("us"),
            "product": np.tile([f"p{number:02d}" for number in range(PRODUCTS)], DAYS),
            "price": price.ravel().round(3),
            "promoted": promoted.ravel(),
            "sold": draw.poisson(mean.ravel()),
        }
    )


def build(rows: pd.DataFrame) -> pd.DataFrame:
    """Features of sales: the product, the weekday, the season, price and promotion."""
    season = 2 * np.pi * rows["at"].dt.dayofyear.to_numpy() / 365.25
    product = rows["product"].str[1:].astype(int).to_numpy()[:, None] == np.arange(PRODUCTS)
    weekday = rows["at"].dt.dayofweek.to_numpy()[:, None] == np.arange(7)
    others = np.column_stack([np.log(rows["price"]), rows["promoted"], np.sin(season), np.cos(season)])
    names = [f"p{number:02d}" for number in range(PRODUCTS)] + [f"weekday_{number}" for number in range(7)]
    names += ["price", "promoted", "spring", "winter"]
    values = np.column_stack([product, weekday, others]).astype(float)
    return pd.DataFrame(values, columns=names, index=rows.index)


HISTORY = History(
    name="bakery_shelf",
    stands_for="small partitions and tastes that change a little every day",
    grain="daily",
    task="regression",
    target="sold",
    metric="mae",
    drift="gradual",
    partitions=DAYS,
    rows_a_partition=PRODUCTS,
    start=START,
    training={"window": days(180), "minimum": 60, "holdout": days(14), "candidates": [LOG_RIDGE]},
    made=made,
)
