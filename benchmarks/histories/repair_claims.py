"""Repair claims by week, with heavy tails: labour becomes dearer twice.

A claim is lognormal around what the car's age, value and damage say; one in 40 is a total loss, whose cost
has a Pareto tail. Prices rise by 3 % a year, and by 22 % and 15 % in two single weeks.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from benchmarks.histories.history import LOG_RIDGE, History, days, moments, with_gaps

START, WEEKS, ROWS, BREAKS = date(2018, 1, 1), 190, 90, ("2019-09-02", "2020-10-05")


def made() -> pd.DataFrame:
    """The claims."""
    draw = np.random.default_rng(8)
    winter = 1 + 0.3 * np.cos(2 * np.pi * np.arange(WEEKS) / 52)
    when = moments("weekly", START, draw.poisson(ROWS * winter), draw)
    count = len(when.place)
    value, age, damage = draw.normal(size=count), draw.gamma(2, 3, count), draw.integers(1, 6, count)
    steps = np.log(1.22) * when.since(BREAKS[0]) + np.log(1.15) * when.since(BREAKS[1])
    level = 0.03 * when.place / 52 + steps
    log_cost = 6.2 + 0.35 * value - 0.02 * age + 0.3 * damage + level + draw.normal(0, 0.55, count)
    total = draw.random(count) < 1 / 40
    cost = np.exp(log_cost) * np.where(total, 1 + draw.pareto(1.8, count), 1.0)
    return pd.DataFrame(
        {
            "at": when.at,
            "value": value,
            "age": with_gaps(draw, age, 0.05),
            "damage": damage,
            "cost": cost.round(2),
        }
    )


def build(rows: pd.DataFrame) -> pd.DataFrame:
    """Features of claims."""
    return rows[["value", "age", "damage"]]


HISTORY = History(
    name="repair_claims",
    stands_for="amounts with heavy tails, whose level steps up twice",
    grain="weekly",
    task="regression",
    target="cost",
    metric="mae",
    drift="abrupt",
    partitions=WEEKS,
    rows_a_partition=ROWS,
    start=START,
    training={"window": days(364), "minimum": 26, "holdout": days(56), "candidates": [LOG_RIDGE]},
    breaks=BREAKS,
    made=made,
)
