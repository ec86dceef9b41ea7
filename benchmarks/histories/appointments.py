"""Appointments by week that are kept, late or missed: summer and winter hours turn the pattern around.

In the winter half of the year parents miss mornings and the others miss afternoons; in the summer half it is
the other way round, and nothing in the rows tells which it is. Reminders help always. A training sees the
last 16 weeks, less than a half: over a whole year both patterns are equally frequent, and there would be
nothing to learn.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from benchmarks.histories.history import BOOSTED_CLASSES, History, days, moments

START, WEEKS, ROWS = date(2020, 8, 31), 160, 140
HALF = 26  # weeks


def made() -> pd.DataFrame:
    """The appointments."""
    draw = np.random.default_rng(12)
    when = moments("weekly", START, draw.poisson(ROWS, WEEKS), draw)
    count = len(when.place)
    summer = when.place % (2 * HALF) >= HALF
    parent, morning, reminded = draw.random(count) < 0.45, draw.random(count) < 0.5, draw.random(count) < 0.6
    hard = np.where(parent, morning, ~morning) ^ summer
    wait = draw.exponential(20, count)
    score = np.column_stack(
        [
            np.full(count, 1.4),
            0.3 + 0.9 * hard + 0.01 * wait,
            -0.4 + 3.0 * hard + 0.02 * wait - 0.8 * reminded,
        ]
    )
    noisy = score + draw.gumbel(size=score.shape)
    return pd.DataFrame(
        {
            "at": when.at,
            "parent": parent,
            "morning": morning,
            "reminded": reminded,
            "wait": wait,
            "outcome": np.array(["kept", "late", "missed"])[noisy.argmax(axis=1)],
        }
    )


def build(rows: pd.DataFrame) -> pd.DataFrame:
    """Features of appointments."""
    return rows[["parent", "morning", "reminded"]].astype(float).assign(wait=rows["wait"])


HISTORY = History(
    name="appointments",
    stands_for="three classes, and two regimes that come again and again",
    grain="weekly",
    task="classification",
    target="outcome",
    metric="log_loss",
    drift="recurring",
    partitions=WEEKS,
    rows_a_partition=ROWS,
    start=START,
    training={"window": days(112), "minimum": 16, "holdout": days(28), "candidates": [BOOSTED_CLASSES]},
    made=made,
)
