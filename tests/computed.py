"""Functions that tests spread over engines: some that answer, some that take their process with them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from evergreen.compute.steps import step
from evergreen.errors import RefusedError, SpecError


def times(factor: int, item: int) -> int:
    step("items", 1)
    return factor * item


def answered(folder: str, item: tuple[str, int]) -> Any:
    """What the item asks for; `once` is killed at its first attempt and answers at the second."""
    what, number = item
    if what == "once":
        (Path(folder) / f"{number}.pid").write_text(str(os.getpid()))
        try:
            (Path(folder) / str(number)).touch(exist_ok=False)
        except FileExistsError:
            return number
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "poison":
        os._exit(7)
    if what == "endless":
        time.sleep(600)
    if what == "refused":
        raise RefusedError(f"item {number} is refused: leave it out")
    if what == "bug":
        raise KeyError(number)
    return number


def told(item: tuple[str, int]) -> str:
    return f"item {item[1]}"


def prepared(shared: int) -> int:
    if shared < 0:
        raise SpecError("nothing can be made of it: give more")
    return shared + 1


def variables(name: str, item: int) -> Any:
    """What an item finds in its process: a variable, and how many threads numpy's library takes."""
    from sklearn.linear_model import Ridge
    from threadpoolctl import threadpool_info

    assert Ridge().fit([[0.0], [1.0]], [0.0, 1.0])
    return os.environ.get(name), {entry["num_threads"] for entry in threadpool_info()}
