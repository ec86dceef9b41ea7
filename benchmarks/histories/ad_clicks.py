"""Clicks on advertisements, 2,000 a day: the audience changes, and nothing else does.

Whether a person clicks depends on age, device and hour by one fixed rule that bends (so that a linear model
is only right where it was fit). The audience is young at first. From day 130 to day 190 it grows older, and
tablets replace computers.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from benchmarks.histories.history import LOGISTIC, History, correlated, days, moments

START, DAYS, ROWS = date(2023, 2, 1), 300, 2000


def made() -> pd.DataFrame:
    """The impressions."""
    draw = np.random.default_rng(6)
    when = moments("daily", START, draw.poisson(ROWS, DAYS), draw)
    count = len(when.place)
    moved = np.clip((when.place - 130) / 60, 0, 1)
    age = np.clip(draw.normal(29 + 18 * moved, 9, count), 14, 90)
    tablet = draw.random(count) < 0.1 + 0.5 * moved
    mood = correlated(draw, DAYS, rho=0.4, spread=0.08)[when.place]
    bent = -0.0045 * (age - 38) ** 2 / 2
    score = -1.7 + bent + 0.5 * tablet * (age > 40) + 0.4 * np.sin(when.hour * np.pi / 12) + mood
    return pd.DataFrame(
        {
            "at": when.at,
            "age": age,
            "tablet": tablet,
            "position": draw.integers(1, 6, count),
            "clicked": (draw.random(count) < 1 / (1 + np.exp(-score))).astype(int),
        }
    )


def build(rows: pd.DataFrame) -> pd.DataFrame:
    """Features of impressions."""
    hour = rows["at"].dt.hour * np.pi / 12
    return pd.DataFrame(
        {
            "age": rows["age"],
            "tablet": rows["tablet"].astype(float),
            "position": rows["position"],
            "night": np.cos(hour),
            "morning": np.sin(hour),
        }
    )


HISTORY = History(
    name="ad_clicks",
    stands_for="large partitions whose rows change, while the rule behind them stays",
    grain="daily",
    task="classification",
    target="clicked",
    metric="log_loss",
    drift="covariate",
    partitions=DAYS,
    rows_a_partition=ROWS,
    start=START,
    training={"window": days(90), "minimum": 30, "holdout": days(7), "candidates": [LOGISTIC]},
    made=made,
)
