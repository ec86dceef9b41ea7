"""Fares of taxi rides, by month: a fee is added one day.

A fare is 3 + 1.7 a kilometre + 0.35 a minute, more at night, with noise that grows with the fare. Distances
are lognormal, traffic has a level of its own for each month (an autoregression). From February 2021 on 9 of
10 rides pay a fee of 1.9. One ride in 200 is recorded with a wrong distance.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from benchmarks.histories.history import BOOSTING, History, correlated, days, moments

START, MONTHS, ROWS, BREAK = date(2019, 1, 1), 48, 300, "2021-02"


def made() -> pd.DataFrame:
    """The rides."""
    draw = np.random.default_rng(1)
    when = moments("monthly", START, draw.poisson(ROWS, MONTHS), draw)
    count = len(when.place)
    traffic = np.exp(correlated(draw, MONTHS, rho=0.6, spread=0.12))[when.place]
    distance = np.exp(draw.normal(1.1, 0.7, count))
    minutes = 4 + 2.4 * distance * traffic * np.exp(draw.normal(0, 0.2, count))
    night = (when.hour < 6) | (when.hour > 22)
    fare = (3 + 1.7 * distance + 0.35 * minutes) * np.where(night, 1.15, 1.0)
    fare = fare * np.exp(draw.normal(0, 0.06, count))
    fare += 1.9 * (when.since(BREAK) & (draw.random(count) < 0.9))
    wrong = draw.random(count) < 0.005
    return pd.DataFrame(
        {
            "at": when.at,
            "distance": np.where(wrong, distance * 10, distance),
            "minutes": minutes,
            "passengers": draw.integers(1, 5, count),
            "fare": fare.round(2),
        }
    )


def build(rows: pd.DataFrame) -> pd.DataFrame:
    """Features of rides."""
    return rows[["distance", "minutes", "passengers"]].assign(
        hour=rows["at"].dt.hour, weekday=rows["at"].dt.dayofweek
    )


HISTORY = History(
    name="taxi_fares",
    stands_for="prices that change by a fixed amount from one month to the next",
    grain="monthly",
    task="regression",
    target="fare",
    metric="mae",
    drift="abrupt",
    partitions=MONTHS,
    rows_a_partition=ROWS,
    start=START,
    training={
        "window": days(730),
        "minimum": 9,
        "holdout": days(92),
        "candidates": [BOOSTING],
    },
    breaks=(BREAK,),
    made=made,
)
