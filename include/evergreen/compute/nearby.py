"""Items computed by processes of this machine."""

from __future__ import annotations

import pickle
from queue import LifoQueue
from typing import Any

from evergreen.compute.cells import Cell
from evergreen.compute.steps import Told
from evergreen.compute.task import Outcome, Task


class Nearby:
    """So many cells of this machine."""

    def __init__(self, task: Task, count: int) -> None:
        self.at_once = count
        self._cells = [Cell(task.pickled) for _ in range(count)]
        # The one used last has prepared what is shared: with few items the others need not.
        self._idle: LifoQueue[Cell] = LifoQueue()
        for cell in self._cells:
            self._idle.put(cell)

    def call(self, item: Any, seconds: float, told: Told) -> Outcome:
        """What comes of an item in a cell that is idle."""
        cell = self._idle.get()
        try:
            return cell.call(pickle.dumps(item, pickle.HIGHEST_PROTOCOL), seconds, told)
        finally:
            self._idle.put(cell)

    def close(self) -> None:
        """End the cells, also those that compute."""
        for cell in self._cells:
            cell.close()
