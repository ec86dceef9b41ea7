"""What an engine computes, and what comes of it."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Protocol

from evergreen.compute.steps import Told
from evergreen.errors import EvergreenError, one_line


def as_it_is(shared: Any) -> Any:
    """What is shared, unprepared."""
    return shared


@dataclass(frozen=True)
class Task:
    """A function of a module, called with what `prepare` makes of `shared` once a process, and with an item.

    All of it is pickled, so nothing of it is secret: what a function needs of connections it finds in the
    variables of its own process.
    """

    function: Callable[[Any, Any], Any]
    shared: Any = field(default=None, repr=False)
    prepare: Callable[[Any], Any] = as_it_is

    @cached_property
    def pickled(self) -> bytes:
        """The task as bytes."""
        return pickle.dumps(self, pickle.HIGHEST_PROTOCOL)

    @cached_property
    def name(self) -> str:
        """A digest of the whole task."""
        return hashlib.sha256(self.pickled).hexdigest()[:16]


class How(StrEnum):
    """How an item ended."""

    RETURNED = "returned"
    RAISED = "raised"
    DIED = "died"


@dataclass(frozen=True)
class Outcome:
    """What came of an item: the value returned, the error raised, or how its process died."""

    how: How
    content: Any


class LostError(Exception):
    """An item of which the engine will give no outcome: its worker is gone, or the engine itself."""


class Engine(Protocol):
    """Computes the items of one task, `at_once` of them at most."""

    at_once: int

    def call(self, item: Any, seconds: float, told: Told) -> Outcome:
        """What comes of an item, which may take so many seconds. Called by several threads.

        Raises `LostError`, and `EvergreenError` where no item can be computed, whichever it is.
        """

    def close(self) -> None:
        """Give back what the task holds, and end what still computes."""


def outcome_of(compute: Callable[[], Any]) -> Outcome:
    """What comes of computing here; an error is one that can be pickled and has one line."""
    try:
        return Outcome(How.RETURNED, compute())
    except EvergreenError as error:
        return Outcome(How.RAISED, _portable(error))
    except Exception as error:  # noqa: BLE001 - told in a line, as it cannot be raised in another process
        said = f"{type(error).__name__}: {one_line(error)}"
        remedy = "run it with EVERGREEN_COMPUTE=local and --debug to see where"
        return Outcome(How.RAISED, EvergreenError(f"{said}: {remedy}"))


def _portable(error: EvergreenError) -> EvergreenError:
    try:
        copied = pickle.loads(pickle.dumps(error))  # noqa: S301 - what was pickled in the same expression
    except Exception:  # noqa: BLE001 - such as one whose type takes other arguments
        return EvergreenError(str(error))
    return error if type(copied) is type(error) else EvergreenError(str(error))
