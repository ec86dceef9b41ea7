"""A night of many pipelines through Airflow, against as many of the same shape whose tasks do nothing."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.airflow_stack import airflow_stack, wait
from benchmarks.figure import ROUNDS, Figure, ratio_of_medians
from benchmarks.shops import Shops
from deploy.embedded.airflow_api import ACTIVE, ENDED, AirflowApi
from evergreen.stages import INGEST, NIGHTLY

PIPELINES = int(os.environ.get("PIPELINES", "50"))
"""`make bench ONLY=nights PIPELINES=10` for a first look."""

HISTORY = 20
LIMIT = 1.5


def measure() -> list[Figure]:
    """Seconds until the nights of all pipelines are monitored and reported, over those of the empty DAGs.

    Both are started by hand, all at once, in turn on one stack with LocalExecutor; each round is the next
    night. Before, each pipeline has its history and a champion, and all have one night to warm up.
    """
    ours = [f"shops_{number:02d}" for number in range(PIPELINES)]
    empty = [f"noop_{number:02d}" for number in range(PIPELINES)]
    spent: dict[str, list[float]] = {"shops": [], "noop": []}
    with tempfile.TemporaryDirectory(prefix="evergreen-bench-") as folder:
        shops = Shops(Path(folder))
        for name in ours:
            shops.describe(name)
        with _variables(EVERGREEN_PIPELINES=str(shops.pipelines), NOOP_PIPELINES=str(PIPELINES)):
            held = [INGEST.dag_id(name) for name in ours]
            with airflow_stack(demo=False, held=held) as (_, api):
                _live(shops, ours)
                _ready(api, [*ours, *empty])
                for number in range(ROUNDS + 1):
                    key = shops.write(HISTORY + number)
                    for kind, names in (("shops", ours), ("noop", empty)):
                        seconds = _night(api, names, key)
                        if number:  # the one before warms up
                            spent[kind].append(seconds)
                            print(f"  round {number}: {kind} {seconds:.1f} s", flush=True)
    an_hour = 3600 * PIPELINES * len(spent["shops"]) / sum(spent["shops"])
    print(f"  {an_hour:.0f} nights an hour", flush=True)
    name = f"a night of {PIPELINES} pipelines / of as many that do nothing"
    return [Figure(name, ratio_of_medians(spent["shops"], spent["noop"]), "x", LIMIT)]


def _live(shops: Shops, names: Sequence[str]) -> None:
    """Ingest the history of each pipeline, and train its champion."""
    from evergreen.ingestion.stage import ingest
    from evergreen.pipeline import Pipeline
    from evergreen.training.stage import train

    keys = [shops.write(night) for night in range(HISTORY)]
    for name in names:
        pipeline = Pipeline.open(name)
        ingest(pipeline, keys)
        trained = train(pipeline, None, {"sentence": "the benchmark's champion"})
        assert trained.promoted, trained.verdict.sentence


def _ready(api: AirflowApi, names: Sequence[str]) -> None:
    """Unpause the DAGs, and wait until those runs have ended that the clock starts."""
    for dag_id in (stage.dag_id(name) for name in names for stage in NIGHTLY):
        wait(lambda dag_id=dag_id: api.dag(dag_id) is not None)
        api.unpause(dag_id)
    time.sleep(10)
    wait(lambda: api.count("~", ACTIVE) == 0)


def _night(api: AirflowApi, names: Sequence[str], key: str) -> float:
    """Start the night of all of them, and wait for its end; returns its seconds."""
    before, failed = api.count("~", ENDED), api.count("~", ["failed"])
    began = time.perf_counter()
    for name in names:
        api.trigger(INGEST.dag_id(name), partition=key)
    wait(lambda: api.count("~", ENDED) >= before + len(NIGHTLY) * len(names))
    seconds = time.perf_counter() - began
    assert api.count("~", ["failed"]) == failed, f"runs of {key} failed"
    return seconds


@contextmanager
def _variables(**values: str) -> Iterator[None]:
    before = dict(os.environ)
    os.environ |= values
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
