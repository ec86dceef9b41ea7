"""Items by this process and by two others: the same answers, and deaths that stay with their item."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

import pytest
import sklearn.linear_model  # noqa: F401 - its libraries, which have threads

from evergreen.compute.choice import parse
from evergreen.compute.spread import ATTEMPTS, spread
from evergreen.errors import EvergreenError, RefusedError, SpecError
from tests.computed import answered, prepared, times, told, variables

ENGINES = ("local", "processes:2")


@pytest.mark.parametrize("engine", ENGINES)
def test_results_come_in_the_order_of_the_items_and_steps_are_told(engine: str) -> None:
    steps: Counter[str] = Counter()
    with spread(times, 3, prepare=prepared, choice=parse(engine)) as task:
        found = task.over(range(20), progress=lambda name, count: steps.update({name: count}))
        assert found == [4 * number for number in range(20)]
        assert steps == {"items": 20}
        assert task.over([5]) == [20]
        assert task.over([]) == []


@pytest.mark.parametrize("engine", ENGINES)
def test_the_error_of_the_first_item_comes_out_and_its_neighbours_are_done(
    engine: str, tmp_path: Path
) -> None:
    items = [("fine", 0), ("refused", 1), ("refused", 2), ("fine", 3)]
    with (
        spread(answered, str(tmp_path), choice=parse(engine)) as task,
        pytest.raises(RefusedError, match="item 1 is refused: leave it out"),
    ):
        task.over(items)
    with (
        spread(times, -1, prepare=prepared, choice=parse(engine)) as task,
        pytest.raises(SpecError, match="nothing can be made of it"),
    ):
        task.over([1, 2])


def test_an_item_whose_process_is_killed_is_computed_again(tmp_path: Path) -> None:
    items = [("once" if number in (3, 7) else "fine", number) for number in range(10)]
    with spread(answered, str(tmp_path), choice=parse("processes:2")) as task:
        assert task.over(items) == list(range(10))


def test_a_poison_item_is_named_and_its_neighbours_are_done(tmp_path: Path) -> None:
    steps: Counter[str] = Counter()
    items = [("fine", 0), ("poison", 1), ("fine", 2), ("poison", 3), ("fine", 4)]
    expected = rf"item 1: ended its process with code 7, {ATTEMPTS} times on this machine \(processes\) "
    expected += r"\(and so with item 3\); 3 others are done: give it more memory or time, or leave it out"
    with spread(answered, str(tmp_path), choice=parse("processes:2")) as task:
        with pytest.raises(EvergreenError, match=expected):
            task.over(items, named=told, progress=lambda name, count: steps.update({name: count}))
        assert task.over([("fine", 9)]) == [9]


def test_an_item_without_end_is_ended(tmp_path: Path) -> None:
    with (
        spread(answered, str(tmp_path), choice=parse("processes:2")) as task,
        pytest.raises(
            EvergreenError, match=r"item 1: took longer than 0\.4 s, 3 times .*; 1 others are done"
        ),
    ):
        task.over([("fine", 0), ("endless", 1)], named=told, seconds=0.4)


def test_a_bug_is_told_in_a_line_elsewhere_and_with_its_trace_here(tmp_path: Path) -> None:
    with (
        spread(answered, str(tmp_path), choice=parse("processes:1")) as task,
        pytest.raises(EvergreenError, match=r"KeyError: 5: run it with EVERGREEN_COMPUTE=local and --debug"),
    ):
        task.over([("bug", 5)])
    with spread(answered, str(tmp_path)) as task, pytest.raises(KeyError):
        task.over([("bug", 5)])


def test_a_process_has_the_variables_of_this_one_and_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERGREEN_OF_THE_TEST", "seen")
    for engine in ENGINES:
        with spread(variables, "EVERGREEN_OF_THE_TEST", choice=parse(engine)) as task:
            ((found, threads),) = task.over([0])
        assert (found, threads) == ("seen", {1})


def test_the_cells_end_with_their_task(tmp_path: Path) -> None:
    with spread(answered, str(tmp_path), choice=parse("processes:1")) as task:
        task.over([("once", 1)])
        pid = int((tmp_path / "1.pid").read_text())
        os.kill(pid, 0)
    for _ in range(1000):
        if not Path(f"/proc/{pid}").exists():
            return
        time.sleep(0.01)
    pytest.fail("it still runs")
