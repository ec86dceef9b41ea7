"""A function over items, spread by the engine that is chosen: the results in the items' order.

Nothing of a result depends on the engine, on how many workers it has, or on who is done first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

from evergreen.compute.choice import Choice, Kind, chosen
from evergreen.compute.local import Local
from evergreen.compute.steps import Told, silent
from evergreen.compute.task import Engine, How, LostError, Outcome, Task, as_it_is
from evergreen.errors import EvergreenError, UnavailableError

ATTEMPTS = 3
LIMIT = 6 * 3600.0
"""Seconds that an item may take, wherever its process can be ended: nothing hangs for ever."""


class Spread:
    """A task on an engine: `over` computes it for items, as often as wanted."""

    def __init__(self, engine: Engine, where: str) -> None:
        self._engine = engine
        self._where = where
        self._given_up = False
        self._one_at_a_time = threading.Lock()

    def over(
        self,
        items: Sequence[Any],
        *,
        named: Callable[[Any], str] = str,
        progress: Told = silent,
        seconds: float = LIMIT,
    ) -> list[Any]:
        """What the task's function returns for each item, in their order.

        An item that ends its process, takes longer than `seconds` or is lost with its worker is tried
        `ATTEMPTS` times. The others are computed whatever comes of it. Then the error of the first item that
        has one is raised: what its function raised, or an `EvergreenError` that names by `named` those that
        never gave an answer. `progress` takes what `evergreen.compute.steps.step` tells, one at a time.
        """

        def told(name: str, steps: int) -> None:
            with self._one_at_a_time:
                progress(name, steps)

        tried = partial(self._tried, seconds=seconds, told=told)
        outcomes = self._outcomes(tried, items)
        failed = [place for place, outcome in enumerate(outcomes) if outcome.how is not How.RETURNED]
        if not failed:
            return [outcome.content for outcome in outcomes]
        first = outcomes[failed[0]]
        if first.how is How.RAISED:
            raise first.content
        lost = [named(items[place]) for place in failed if outcomes[place].how is How.DIED]
        raise self._poisoned(lost, first.content, len(items) - len(failed))

    def _outcomes(self, tried: Callable[[Any], Outcome], items: Sequence[Any]) -> list[Outcome]:
        if (threads := min(self._engine.at_once, len(items))) <= 1:
            return list(map(tried, items))
        pool = ThreadPoolExecutor(threads)
        try:
            return list(pool.map(tried, items))
        except BaseException:
            # What computes is not waited for; it is ended with the engine.
            self._given_up = True
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _tried(self, item: Any, *, seconds: float, told: Told) -> Outcome:
        outcome = Outcome(How.DIED, "")
        for _ in range(ATTEMPTS):
            try:
                outcome = self._engine.call(item, seconds, told)
            except LostError as error:
                outcome = Outcome(How.DIED, f"was lost with its worker ({error})")
            if outcome.how is not How.DIED or self._given_up:
                break
        return outcome

    def _poisoned(self, names: Sequence[str], how: str, done: int) -> EvergreenError:
        others = f" (and so with {', '.join(names[1:4])})" if names[1:] else ""
        kind = UnavailableError if "was lost" in how else EvergreenError
        return kind(
            f"{names[0]}: {how}, {ATTEMPTS} times on {self._where}{others}; {done} others are done: give it "
            "more memory or time, or leave it out"
        )


@contextmanager
def spread(
    function: Callable[[Any, Any], Any],
    shared: Any = None,
    *,
    prepare: Callable[[Any], Any] = as_it_is,
    choice: Choice | None = None,
) -> Iterator[Spread]:
    """A function of a module on the engine of `choice`, by default that of `EVERGREEN_COMPUTE`.

    It is called with what `prepare` makes of `shared` in each process that computes, and with an item. On
    every engine but this process all three are pickled. Raises `EvergreenError` for an engine that is not
    known, `NotInstalledError` for one that is not installed, and `UnavailableError` for one that is out of
    reach.
    """
    choice = choice or chosen()
    engine = _engine(choice, Task(function, shared, prepare))
    try:
        yield Spread(engine, choice.address or f"this machine ({choice.kind})")
    finally:
        engine.close()


def _engine(choice: Choice, task: Task) -> Engine:
    if choice.kind is Kind.PROCESSES:
        from evergreen.compute.nearby import Nearby

        return Nearby(task, choice.count)
    if choice.kind is Kind.DASK:
        from evergreen.compute.dask import Dask

        return Dask(task, choice.address)
    if choice.kind is Kind.SPARK:
        from evergreen.compute.spark import Spark

        return Spark(task, choice.address)
    return Local(task)
