"""Loans by week, whose default is known eight weeks later: what matters changes with the economy.

The weights of income, debt and employment follow a slow cycle (an autoregression over the weeks), and the
base rate moves with it. A tenth of incomes are not given.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from benchmarks.histories.history import LOGISTIC, History, correlated, days, moments, with_gaps

START, WEEKS, ROWS = date(2019, 1, 7), 170, 160


def made() -> pd.DataFrame:
    """The loans."""
    draw = np.random.default_rng(5)
    when = moments("weekly", START, draw.poisson(ROWS, WEEKS), draw)
    count = len(when.place)
    cycle = correlated(draw, WEEKS, rho=0.98, spread=1.0)
    phase = cycle[when.place]
    income, debt = draw.normal(size=count), draw.normal(size=count)
    tenure = draw.exponential(1.0, count)
    score = -1.6 + 0.5 * phase
    score += -(0.7 - 0.4 * phase) * income + (0.6 + 0.4 * phase) * debt - (0.5 + 0.3 * phase) * tenure
    return pd.DataFrame(
        {
            "at": when.at,
            "income": with_gaps(draw, income, 0.1),
            "debt": debt,
            "tenure": tenure,
            "region": draw.integers(0, 8, count),
            "defaulted": (draw.random(count) < 1 / (1 + np.exp(-score))).astype(int),
        }
    )


def build(rows: pd.DataFrame) -> pd.DataFrame:
    """Features of loans."""
    return rows[["income", "debt", "tenure", "region"]]


HISTORY = History(
    name="loan_defaults",
    stands_for="labels that come weeks later, while the weights of the features move slowly",
    grain="weekly",
    task="classification",
    target="defaulted",
    metric="log_loss",
    drift="gradual",
    partitions=WEEKS,
    rows_a_partition=ROWS,
    start=START,
    training={"window": days(364), "minimum": 26, "holdout": days(56), "candidates": [LOGISTIC]},
    delay=8,
    made=made,
)
