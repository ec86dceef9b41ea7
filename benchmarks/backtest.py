"""How well weekly training does on the real bike data, through the stages of the library, day by day."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.airflow_stack import REPOSITORY
from benchmarks.figure import Figure
from benchmarks.stores import stores
from deploy.embedded import weather
from deploy.embedded.load import load
from deploy.embedded.stack import start_missing

FILE = Path(os.environ.get("DATA") or REPOSITORY.parent / "shared/data/bike_sharing/hour.csv")
FIRST, LAST = "2011-04-01", "2012-12-31"
POLICY = "every 7"
LIMIT = 35


def measure() -> list[Figure]:
    """Mean absolute error of weekly training, in rentals an hour; one round, for nothing in it is random.

    The data is the hourly file of the UCI's bike sharing data set, named by DATA; without it there is no
    figure.
    """
    if not FILE.is_file():
        print(f"  left out: {FILE} is not there; name the UCI's hour.csv with DATA=")
        return []
    with stores() as stack:
        load(stack, FILE)
        start_missing(stack.home, [*weather.services(stack.home, stack.ports, stack.secrets)], print)
        from evergreen.backtest.run import backtest, ensure_published
        from evergreen.pipeline import Pipeline

        pipeline = Pipeline.open("bike_demand")
        ensure_published(pipeline, FIRST, LAST)
        (result,) = backtest(pipeline, FIRST, LAST, [POLICY])
    print(f"  {result}", flush=True)
    assert result.value is not None
    return [Figure("mean absolute error of weekly training, real bike data", result.value, "rentals", LIMIT)]
