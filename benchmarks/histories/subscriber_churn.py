"""Subscribers who leave or stay, by month: seasons come and go, and nothing changes.

Whether a person leaves depends on tenure, use and complaints by one fixed rule; more leave in January and
more come in summer, so that the mix of tenures breathes with the year.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from benchmarks.histories.history import LOGISTIC, History, days, moments, with_gaps

START, MONTHS, ROWS = date(2017, 1, 1), 72, 250


def made() -> pd.DataFrame:
    """One row for each subscriber and month that was looked at."""
    draw = np.random.default_rng(11)
    when = moments("monthly", START, draw.poisson(ROWS, MONTHS), draw)
    count = len(when.place)
    tenure = draw.exponential(18 + 6 * np.cos(when.season), count)
    use, complaints = draw.normal(size=count), draw.poisson(0.4, count)
    january = when.place % 12 == 0
    score = -1.3 - 0.03 * tenure - 0.7 * use + 0.6 * complaints + 0.4 * january
    return pd.DataFrame(
        {
            "at": when.at,
            "tenure": tenure,
            "use": with_gaps(draw, use, 0.03),
            "complaints": complaints,
            "age": draw.normal(45, 14, count),
            "left": (draw.random(count) < 1 / (1 + np.exp(-score))).astype(int),
        }
    )


def build(rows: pd.DataFrame) -> pd.DataFrame:
    """Features of subscribers."""
    return rows[["tenure", "use", "complaints", "age"]].assign(january=rows["at"].dt.month == 1)


HISTORY = History(
    name="subscriber_churn",
    stands_for="a monthly classification with a season, but no drift at all",
    grain="monthly",
    task="classification",
    target="left",
    metric="roc_auc",
    drift="none",
    partitions=MONTHS,
    rows_a_partition=ROWS,
    start=START,
    training={"window": days(730), "minimum": 12, "holdout": days(92), "candidates": [LOGISTIC]},
    made=made,
)
