"""Two runs ingest the same partitions at the same time, their tasks mixed in every order."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from evergreen.connections import Connection
from evergreen.errors import EvergreenError
from evergreen.pipeline import Pipeline
from evergreen.spec import parse_spec
from evergreen.storage import Storage
from tests.faults.ingest import run_ingest, steps
from tests.faults.meters import DAYS, NAME, PIPELINES, TABLES, create, generations, load, published
from tests.faults.watch import check_history, check_published

SEED = 20240104
MIXTURES = 30
A_STORE = 10


@pytest.fixture
def source(postgres_server: Connection) -> Connection:
    """The pipeline's database, without rows."""
    create(postgres_server)
    return replace(postgres_server, conn_id="meters_db")


@pytest.mark.timeout(600)
def test_of_two_runs_that_meet_none_is_lost_silently(source, s3_store: Storage):
    """A run that ends well has published what it read, or what another one read after it began."""
    draw, counts = random.Random(SEED), Counter()
    spec = parse_spec(PIPELINES / NAME / "pipeline.yaml")
    problems: list[str] = []
    generation = 0
    for number in range(MIXTURES):
        pipeline = Pipeline(spec, s3_store.child(f"store-{number // A_STORE}"), lambda conn_id: source)
        first = generation + 1
        left = [steps(pipeline, DAYS, f"run-{number}-{name}", "task") for name in "ab"]
        read: list[int] = [0, 0]
        order: list[str] = []
        while any(left):
            turn = draw.choice([n for n in (0, 1) if left[n]])
            name, step = left[turn].pop(0)
            order.append(f"{'ab'[turn]} {name}")
            if name == "stage readings":
                generation += 1
                load(source, generation)
                read[turn] = generation
            if not _done(step):
                counts["told to start again"] += 1
                left[turn] = []
                continue
            if name == "publish":
                counts["published"] += 1
                problems += _not_published(pipeline, read[turn], first, generation, order)
        counts["turns"] += sum(one[0] != other[0] for one, other in pairwise(order))
        generation += 1
        load(source, generation)
        run_ingest(pipeline, DAYS, f"run-{number}-after")
        problems += check_published(pipeline.storage, generation)
        if (number + 1) % A_STORE == 0:
            problems += check_history(pipeline.storage).problems
    print(f"mixed {MIXTURES} pairs of runs: {dict(counts)}")
    assert problems == []
    assert counts["published"] >= MIXTURES
    assert counts["turns"] >= 3 * MIXTURES


def _done(step: Callable[[], object]) -> bool:
    """Whether the step ends well, and not in a line that says what to do."""
    try:
        step()
    except EvergreenError:
        return False
    return True


def _not_published(pipeline: Pipeline, read: int, first: int, last: int, order: list[str]) -> list[str]:
    """The run that just published `read` must find it there, whole, or what another one read later."""
    there = {table: generations(table, published(pipeline.lake, table)) for table in TABLES}
    found = {generation for days in there.values() for generation in days.values()}
    if len(found) == 1 and min(found) >= read:
        return []
    return [
        f"a run that read {read} (of {first} to {last}) ended well, and there is {found}: {', '.join(order)}"
    ]
