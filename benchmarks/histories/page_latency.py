"""Latency of web requests, 4,000 a day: a release makes one route slow.

The logarithm of a latency follows the route, the size of the answer and how busy the hour is. A release of
day 85 makes two of ten routes slower by half. Traffic doubles over the half year.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from benchmarks.histories.history import LOG_RIDGE, History, days, moments

START, DAYS, ROWS, BREAK = date(2024, 1, 1), 170, 4000, "2024-03-26"


def made() -> pd.DataFrame:
    """The requests."""
    draw = np.random.default_rng(17)
    growth = np.exp(np.log(2) * np.arange(DAYS) / DAYS)
    weekend = np.arange(DAYS) % 7 >= 5
    when = moments("daily", START, draw.poisson(0.7 * ROWS * growth * np.where(weekend, 0.6, 1.0)), draw)
    count = len(when.place)
    route = draw.integers(0, 10, count)
    size = draw.gamma(2, 1, count)
    busy = 0.15 * np.sin((when.hour - 9) * np.pi / 12)
    slow = np.log(1.5) * (when.since(BREAK) & (route < 2))
    own = np.linspace(-0.5, 0.6, 10)[route]
    latency = np.exp(3.6 + own + 0.2 * size + busy + slow + draw.normal(0, 0.45, count))
    return pd.DataFrame({"at": when.at, "route": route, "size": size, "latency": latency})


def build(rows: pd.DataFrame) -> pd.DataFrame:
    """Features of requests."""
    found = {f"route_{number}": (rows["route"] == number).astype(float) for number in range(10)}
    hour = rows["at"].dt.hour * np.pi / 12
    return pd.DataFrame({**found, "size": rows["size"], "noon": np.cos(hour), "evening": np.sin(hour)})


HISTORY = History(
    name="page_latency",
    stands_for="thousands of rows a day, of which a fifth changes after a release",
    grain="daily",
    task="regression",
    target="latency",
    metric="mae",
    drift="abrupt",
    partitions=DAYS,
    rows_a_partition=ROWS,
    start=START,
    training={"window": days(60), "minimum": 21, "holdout": days(7), "candidates": [LOG_RIDGE]},
    breaks=(BREAK,),
    made=made,
)
