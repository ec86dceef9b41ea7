"""How far an item is, told by the function that computes it to whoever waits for it, on whatever engine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Told = Callable[[str, int], None]
"""Takes the name of what is done, and how many more steps of it are."""

_here = threading.local()


def silent(name: str, steps: int) -> None:
    """Ignore what is told."""


def step(name: str, steps: int) -> None:
    """Tell that so many more steps of `name` are done."""
    told: Told = getattr(_here, "told", silent)
    told(name, steps)


@contextmanager
def telling(told: Told) -> Iterator[None]:
    """Steps of this thread go to `told`."""
    before: Told = getattr(_here, "told", silent)
    _here.told = told
    try:
        yield
    finally:
        _here.told = before
