"""Roughness of 60 work pieces a day: tools wear, and are replaced.

Wear adds to the roughness a little more every day and is set back when all tools are replaced, after 50 to 90
days. The rows do not say how old the tools are. Speed and feed are chosen by the order.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from benchmarks.histories.history import RIDGE, History, correlated, days, moments

START, DAYS, ROWS = date(2022, 1, 3), 520, 60


def replaced() -> np.ndarray:
    """The days on which the tools are replaced, counted from the first."""
    return np.cumsum(np.random.default_rng(160).integers(50, 90, 12))


def made() -> pd.DataFrame:
    """The pieces."""
    draw = np.random.default_rng(16)
    when = moments("daily", START, draw.poisson(ROWS, DAYS), draw)
    count = len(when.place)
    starts = np.concatenate([[0], replaced()])
    age = np.arange(DAYS) - starts[np.searchsorted(starts, np.arange(DAYS), side="right") - 1]
    wear = 0.9 * (age / 70) ** 1.6 + correlated(draw, DAYS, rho=0.5, spread=0.05)
    speed, feed = draw.normal(120, 15, count), draw.gamma(9, 0.02, count)
    rough = 0.8 + 12 * feed**1.5 - 0.004 * (speed - 120) + wear[when.place] * (1 + 2 * feed)
    return pd.DataFrame(
        {
            "at": when.at,
            "speed": speed,
            "feed": feed,
            "alloy": draw.integers(0, 3, count),
            "roughness": rough + draw.normal(0, 0.15, count),
        }
    )


def build(rows: pd.DataFrame) -> pd.DataFrame:
    """Features of pieces."""
    return rows[["speed", "feed", "alloy"]]


HISTORY = History(
    name="cutting_tools",
    stands_for="wear that grows until a part is replaced, again and again",
    grain="daily",
    task="regression",
    target="roughness",
    metric="mae",
    drift="recurring",
    partitions=DAYS,
    rows_a_partition=ROWS,
    start=START,
    training={"window": days(60), "minimum": 21, "holdout": days(7), "candidates": [RIDGE]},
    made=made,
)
