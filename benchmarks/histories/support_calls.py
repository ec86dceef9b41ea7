"""Calls at 45 support desks, by week: a shock, and a slow return to something else.

Calls follow the customers of a desk, its product and the week of the month. In March 2020 they jump by 70
%, most of all for one product, fall back over half a year to 20 % above, and in September 2021 a new
website takes a quarter of them away.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from benchmarks.histories.history import BOOSTING, History, correlated, days

START, WEEKS, DESKS, BREAKS = date(2018, 9, 3), 200, 45, ("2020-03-16", "2021-09-06")


def made() -> pd.DataFrame:
    """One row for each desk and week."""
    draw = np.random.default_rng(14)
    at = pd.date_range(START, periods=WEEKS, freq="7D", tz="UTC")
    shock, website = (pd.Timestamp(day, tz="UTC") for day in BREAKS)
    after = np.asarray((at - shock) / pd.Timedelta(days=7))
    jump = np.where(after >= 0, 0.2 + 0.5 * np.exp(-np.clip(after, 0, None) / 12), 0.0)
    product = draw.integers(0, 5, DESKS)
    factor = 1 + np.outer(jump, np.where(product == 2, 2.0, 0.75))
    factor = factor * np.where(at >= website, 0.75, 1.0)[:, None]
    customers = np.exp(draw.normal(6, 0.5, DESKS))
    common = np.exp(correlated(draw, WEEKS, rho=0.3, spread=0.05) + 0.12 * (at.day <= 7))
    rate = 0.1 * np.array([0.8, 1.0, 1.3, 0.6, 1.1])[product] * customers
    calls = draw.poisson(np.outer(common, rate) * factor * np.exp(draw.normal(0, 0.07, (WEEKS, DESKS))))
    times = np.repeat(at, DESKS) + pd.to_timedelta(np.tile(np.arange(DESKS), WEEKS), unit="s")
    return pd.DataFrame(
        {
            "at": times.as_unit("us"),
            "customers": np.tile(customers.round(), WEEKS),
            "product": np.tile(product, WEEKS),
            "calls": calls.ravel(),
        }
    )


def build(rows: pd.DataFrame) -> pd.DataFrame:
    """Features of calls."""
    return rows[["customers", "product"]].assign(first_week=rows["at"].dt.day <= 7)


HISTORY = History(
    name="support_calls",
    stands_for="a shock, a slow return, and a second break in the other direction",
    grain="weekly",
    task="regression",
    target="calls",
    metric="mae",
    drift="abrupt",
    partitions=WEEKS,
    rows_a_partition=DESKS,
    start=START,
    training={"window": days(364), "minimum": 26, "holdout": days(35), "candidates": [BOOSTING]},
    breaks=BREAKS,
    made=made,
)
