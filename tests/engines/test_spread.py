"""Items by the workers of Dask and of Spark: the same answers as in this process, and bounded hangs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from evergreen.compute import dask, spark
from evergreen.compute.choice import chosen, parse
from evergreen.compute.spread import spread
from evergreen.errors import EvergreenError, RefusedError, UnavailableError
from tests.computed import answered, prepared, times, told
from tests.engines.clusters import Cluster


def test_results_come_in_the_order_of_the_items(on_cluster: Cluster) -> None:
    steps: Counter[str] = Counter()
    with spread(times, 3, prepare=prepared) as task:
        found = task.over(range(20), progress=lambda name, count: steps.update({name: count}))
        assert found == [4 * number for number in range(20)]
        assert steps == {"items": 20}
        assert task.over([5]) == [20]


def test_an_item_that_kills_its_process_is_computed_again_and_a_poison_is_named(
    on_cluster: Cluster, tmp_path: Path
) -> None:
    with spread(answered, str(tmp_path)) as task:
        items = [("once" if number in (3, 7) else "fine", number) for number in range(10)]
        assert task.over(items) == list(range(10))
        with pytest.raises(
            EvergreenError, match=r"item 1: ended its process with code 7, 3 times on .*; 2 others"
        ):
            task.over([("fine", 0), ("poison", 1), ("fine", 2)], named=told)
        with pytest.raises(EvergreenError, match=r"item 1: took longer than 0\.5 s, 3 times on .*; 2 others"):
            task.over([("fine", 0), ("endless", 1), ("fine", 2)], named=told, seconds=0.5)
        with pytest.raises(RefusedError, match="item 1 is refused"):
            task.over([("fine", 0), ("refused", 1), ("fine", 2)], named=told)


def test_a_worker_that_is_lost_costs_no_item(on_cluster: Cluster) -> None:
    killed: list[str] = []

    def kill_one(name: str, count: int) -> None:
        if not killed:
            killed.append(name)
            on_cluster.kill_one()

    with spread(times, 2) as task:
        assert task.over(range(200), progress=kill_one) == [2 * number for number in range(200)]
    assert killed


def test_a_scheduler_that_is_not_there_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(dask, "CONNECT", 1.0)
    refused = pytest.raises(UnavailableError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:1 ")
    with refused, spread(times, 2, choice=parse("dask://127.0.0.1:1")):
        pass


def test_workers_that_never_come_end_the_wait(
    on_cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for module in (dask, spark):
        monkeypatch.setattr(module, "ALONE", 0.5)
        monkeypatch.setattr(module, "_LOOK", 0.2)
    with spread(times, 2) as task:
        assert task.over([1]) == [2]
        on_cluster.without_workers()
        try:
            with pytest.raises(UnavailableError, match=r"0: was lost with its worker .*, 3 times on"):
                task.over([0])
        finally:
            on_cluster.with_workers()


def test_workers_with_other_code_are_refused(on_cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    from evergreen.compute import elsewhere

    monkeypatch.setattr(elsewhere, "code", lambda: {"evergreen": "other"})
    monkeypatch.setattr(dask, "code", elsewhere.code)
    monkeypatch.setattr(spark, "code", elsewhere.code)
    with (
        spread(times, 2) as task,
        pytest.raises(EvergreenError, match=r"the workers have evergreen .* and other is here"),
    ):
        task.over([1])


@pytest.mark.parametrize("engine", ["processes:2", "the cluster's"])
def test_what_it_costs_is_told(engine: str, on_cluster: Cluster, tell: Callable[[str], None]) -> None:
    choice = chosen() if engine == "the cluster's" else parse(engine)
    began = time.perf_counter()
    with spread(times, 2, choice=choice) as task:
        task.over([0, 1])
        ready = time.perf_counter()
        task.over(range(200))
        done = time.perf_counter()
    tell(f"{choice.kind}: {ready - began:.1f} s until the first items, {5 * (done - ready):.1f} ms an item")
