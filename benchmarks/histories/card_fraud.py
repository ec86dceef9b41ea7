"""Card payments, of which one or two in a hundred are fraud: two schemes alternate.

For some weeks fraud is many small payments abroad at night, for some weeks few large ones of new cards by
day. A scheme is found out and replaced after 40 to 80 days. Honest payments are lognormal with a weekly
pattern. One fraud in ten looks like nothing in particular.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from benchmarks.histories.history import BOOSTED_CLASSES, History, days, moments

START, DAYS, ROWS = date(2022, 3, 1), 480, 400


def made() -> pd.DataFrame:
    """The payments."""
    draw = np.random.default_rng(4)
    weekend = (np.arange(DAYS) + START.weekday()) % 7 >= 5
    when = moments("daily", START, draw.poisson(ROWS * np.where(weekend, 0.7, 1.12)), draw)
    count = len(when.place)
    ends = np.cumsum(draw.integers(40, 80, 20))
    second = np.searchsorted(ends, when.place, side="right") % 2 == 1
    amount = np.exp(draw.normal(3.2, 1.0, count))
    age = draw.exponential(900, count)
    abroad, hour = draw.random(count) < 0.08, when.hour
    night = (hour < 6) | (hour > 22)
    score = np.where(
        second,
        1.3 * (np.log(amount) - 3.2) + 2.2 * (age < 120) - 0.6 * night,
        2.4 * abroad + 1.6 * night - 0.8 * (np.log(amount) - 3.2),
    )
    chance = 1 / (1 + np.exp(6.3 - score))
    fraud = draw.random(count) < 0.9 * chance + 0.0015
    return pd.DataFrame(
        {
            "at": when.at,
            "amount": amount.round(2),
            "card_age": age.round(),
            "abroad": abroad,
            "merchant": draw.integers(0, 12, count),
            "fraud": fraud.astype(int),
        }
    )


def build(rows: pd.DataFrame) -> pd.DataFrame:
    """Features of payments."""
    return pd.DataFrame(
        {
            "amount": rows["amount"],
            "card_age": rows["card_age"],
            "abroad": rows["abroad"].astype(float),
            "merchant": rows["merchant"],
            "hour": rows["at"].dt.hour,
        }
    )


HISTORY = History(
    name="card_fraud",
    stands_for="a rare class whose signs alternate between two kinds",
    grain="daily",
    task="classification",
    target="fraud",
    metric="roc_auc",
    drift="recurring",
    partitions=DAYS,
    rows_a_partition=ROWS,
    start=START,
    training={"window": days(120), "minimum": 60, "holdout": days(14), "candidates": [BOOSTED_CLASSES]},
    made=made,
)
