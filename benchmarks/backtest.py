"""The backtest on the real bike data, through the stages of the library, day by day: error and overhead."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
LIMIT_OVERHEAD = 1.3


def measure() -> list[Figure]:
    """Mean absolute error of weekly training, in rentals an hour, and the time it takes beyond the models'.

    One round suffices: the error is not random, and the overhead is a ratio within the run, the time of the
    replay of one policy with an empty cache over its time inside the estimators' own `fit` and `predict`. The
    data is the hourly file of the UCI's bike sharing data set, named by DATA; without it there is no figure.
    """
    if not FILE.is_file():
        print(f"  left out: {FILE} is not there; name the UCI's hour.csv with DATA=")
        return []
    with stores() as stack:
        load(stack, FILE)
        start_missing(stack.home, [*weather.services(stack.home, stack.ports, stack.secrets)], print)
        from evergreen.backtest.policies import parse_policy
        from evergreen.backtest.run import ensure_published, read_rows, run_policies
        from evergreen.pipeline import Pipeline

        pipeline = Pipeline.open("bike_demand")
        ensure_published(pipeline, FIRST, LAST)
        rows = read_rows(pipeline, FIRST, LAST)
        policy = parse_policy(POLICY)
        with inside_estimators(pipeline.spec) as inside:
            began = time.perf_counter()
            (result,) = run_policies(pipeline.spec, rows, [policy], FIRST, LAST, workers=1)
            took = time.perf_counter() - began
    print(f"  {result}", flush=True)
    assert result.value is not None
    name = "mean absolute error of weekly training, real bike data"
    overhead = "backtest of one policy, times the time inside fit and predict"
    print(f"  {took:.1f} s, of which {inside():.1f} s inside fit and predict", flush=True)
    return [
        Figure(name, result.value, "rentals", LIMIT),
        Figure(overhead, took / inside(), "x", LIMIT_OVERHEAD),
    ]


@contextmanager
def inside_estimators(spec: Any) -> Iterator[Callable[[], float]]:
    """Count the seconds inside `fit` and `predict` of the candidates' estimators, outermost calls alone."""
    from evergreen.candidates.estimators import build_estimator

    spent, depth = [0.0], [0]
    classes = {
        type(build_estimator(spec, number, candidate.params))
        for number, candidate in enumerate(spec.training.candidates)
    }

    def timed(call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            began, depth[0] = time.perf_counter(), depth[0] + 1
            try:
                return call(*arguments, **named)
            finally:
                depth[0] -= 1
                if not depth[0]:
                    spent[0] += time.perf_counter() - began

        return run

    found = [(one, name, one.__dict__.get(name)) for one in classes for name in ("fit", "predict")]
    for one, name, _ in found:
        setattr(one, name, timed(getattr(one, name)))
    try:
        yield lambda: spent[0]
    finally:
        for one, name, own in found:
            delattr(one, name) if own is None else setattr(one, name, own)
