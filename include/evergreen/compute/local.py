"""Items computed in this process, one after the other: the default, which needs nothing."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from evergreen.compute.steps import Told, telling
from evergreen.compute.task import How, Outcome, Task
from evergreen.errors import EvergreenError


class Local:
    """This process. A time limit does not end an item here, and one that ends its process ends this one."""

    at_once = 1

    def __init__(self, task: Task) -> None:
        self._task = task

    @cached_property
    def _state(self) -> Any:
        return self._task.prepare(self._task.shared)

    def call(self, item: Any, seconds: float, told: Told) -> Outcome:
        """What comes of an item; an error that is no `EvergreenError` is raised as it is."""
        # One thread, as in every other engine: sums in another order round otherwise.
        with threadpool_limits(1), telling(told):
            try:
                return Outcome(How.RETURNED, self._task.function(self._state, item))
            except EvergreenError as error:
                return Outcome(How.RAISED, error)

    def close(self) -> None:
        """Nothing is held."""
