"""Two runs ingest the same partitions at the same time, their tasks mixed in every order."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise, permutations

import pytest

from evergreen.connections import Connection
from evergreen.errors import EvergreenError
from evergreen.pipeline import Pipeline
from evergreen.spec import parse_spec
from evergreen.storage import Storage
from tests.campaign import rounds, seed
from tests.faults.ingest import run_ingest, steps
from tests.faults.meters import DAYS, NAME, PIPELINES, TABLES, create, generations, load, published
from tests.faults.watch import check_history, check_published

SEED = seed(20240104)
# Each run stages two sources, validates and publishes. Two of them can meet in ten ways, but for which is
# called the first, and for what comes between the sources.
ORDERS = [
    "".join(order).replace("a", "aa", 1).replace("b", "bb", 1)
    for order in sorted(set(permutations("aaabbb")))
    if order[0] == "a"
]
MIXTURES = rounds(0, 30)  # at random, after each of these orders
A_STORE = 10


@pytest.fixture
def source(postgres_server: Connection) -> Connection:
    """The pipeline's database, without rows."""
    create(postgres_server)
    return replace(postgres_server, conn_id="meters_db")


@pytest.mark.timeout(rounds(300, 3600))
def test_of_two_runs_that_meet_none_is_lost_silently(source, storage: Storage, tell):
    """A run that ends well has published what it read, or what another one read after it began."""
    draw, counts = random.Random(SEED), Counter()
    orders = [*ORDERS, *(draw.sample("aaaabbbb", 8) for _ in range(MIXTURES))]
    spec = parse_spec(PIPELINES / NAME / "pipeline.yaml")
    problems: list[str] = []
    generation = 0
    for number, turns in enumerate(orders):
        pipeline = Pipeline(spec, storage.child(f"store-{number // A_STORE}"), lambda conn_id: source)
        first = generation + 1
        left = {run: steps(pipeline, DAYS, f"run-{number}-{run}", "task") for run in "ab"}
        read = dict.fromkeys("ab", 0)
        order: list[str] = []
        for turn in turns:
            if not left[turn]:
                continue  # it was told to start again
            name, step = left[turn].pop(0)
            order.append(f"{turn} {name}")
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
    tell(f"mixed {len(orders)} pairs of runs: {dict(counts)}")
    assert problems == []
    assert counts["published"] >= len(orders)
    assert counts["turns"] >= 2 * len(orders)


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
