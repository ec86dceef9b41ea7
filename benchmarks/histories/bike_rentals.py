"""Rentals of bikes in Washington D.C., by the hour, 2011 and 2012: real, and growing by two thirds.

Fanaee-T and Gama, "Event labeling combining ensemble detectors and background knowledge", Progress in
Artificial Intelligence, 2013; UCI Machine Learning Repository, data set 275, CC BY 4.0. The file lies
beside the checkout, or is named by DATA.
"""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pandas as pd

from benchmarks.histories.history import BOOSTING, FOLDER, History, days

FILE = Path(os.environ.get("DATA") or FOLDER.parents[2] / "shared/data/bike_sharing/hour.csv")


def made() -> pd.DataFrame:
    """One row for each hour in which anybody rented."""
    rows = pd.read_csv(FILE)
    at = pd.to_datetime(rows["dteday"]) + pd.to_timedelta(rows["hr"], unit="h")
    columns = ["holiday", "workingday", "weathersit", "temp", "hum", "windspeed", "cnt"]
    return rows[columns].assign(at=pd.DatetimeIndex(at).tz_localize("UTC").as_unit("us"))


def missing() -> str | None:
    """Why there are no rows."""
    return None if FILE.is_file() else f"{FILE} is not there; name the UCI's hour.csv with DATA="


def build(rows: pd.DataFrame) -> pd.DataFrame:
    """Features of rentals: the weather and the calendar, with nothing of the days before."""
    weather = rows[["holiday", "workingday", "weathersit", "temp", "hum", "windspeed"]]
    return weather.assign(hour=rows["at"].dt.hour, weekday=rows["at"].dt.dayofweek)


HISTORY = History(
    name="bike_rentals",
    stands_for="a real system with seasons that grows",
    grain="daily",
    task="regression",
    target="cnt",
    metric="mae",
    drift="growth",
    partitions=731,
    rows_a_partition=24,
    start=date(2011, 1, 1),
    training={"window": days(365), "minimum": 60, "holdout": days(14), "candidates": [BOOSTING]},
    made=made,
    missing=missing,
)
