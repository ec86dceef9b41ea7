"""An action: something that a person may do to a pipeline, who is told first what will happen."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

from evergreen.errors import ConflictError

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline
    from evergreen.stages import Stage

Wanted = Mapping[str, str]
"""What an action is asked to do it to, by the names in its `takes` and `may_take`; none is empty."""


class Right(StrEnum):
    """What a person must be allowed to do with the DAG of the action's stage."""

    EDIT = "edit"
    RUN = "run"


@dataclass(frozen=True)
class Preview:
    """What will happen, in sentences, and `state`: what of the records that depends on, as a short text.

    `wanted` is complete: what was left out is in it as it will be taken. Where the action is not `possible`
    the sentences say why.
    """

    title: str
    sentences: tuple[str, ...]
    state: str
    wanted: Wanted
    possible: bool = True


@dataclass(frozen=True)
class Person:
    """Who acts, as the history will name them, and why, if they say so."""

    name: str
    why: str = ""


@dataclass(frozen=True)
class Training:
    """A training that is to be started: `run_id` is the same for the same request, `conf` is the run's."""

    run_id: str
    conf: dict[str, Any]


Start = Callable[[Training], None]
"""Starts a training in Airflow in the name of the person; nothing happens if it was started already."""


class Action(ABC):
    """One action. `name` stands in its address; `label` is what is read on its button.

    `takes` are the names of what it must be told, `may_take` those of what it may be told. `right` to the
    DAG of `stage` is needed.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    stage: ClassVar[Stage]
    right: ClassVar[Right] = Right.EDIT
    takes: ClassVar[tuple[str, ...]] = ()
    may_take: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def preview(self, pipeline: Pipeline, wanted: Wanted) -> Preview:
        """What will happen; nothing is changed. Raises `EvergreenError` for something that does not exist."""

    @abstractmethod
    def run(self, pipeline: Pipeline, seen: Preview, person: Person, start: Start) -> str:
        """Do what was seen, and return a sentence on what was done; done already by this person, the same.

        Raises `ConflictError`, and changes nothing, if the records have changed since it was seen.
        """


def check_unchanged(now: Preview, seen: Preview) -> None:
    """Raise `ConflictError` unless the records still are as they were seen."""
    if now.state != seen.state:
        raise ConflictError(
            "nothing is changed: something else happened meanwhile: see what would happen now"
        )


def by_hand(why: str | None) -> dict[str, Any]:
    """The reason of an event of the history that a person made, who may say why."""
    return {"trigger": "by hand"} | ({"why": why} if why else {})


def digest(*parts: object) -> str:
    """A short name for what these parts say together."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:16]


def counted(number: int, one: str) -> str:
    """`1 night`, `12 nights`."""
    return f"{number:,} {one}{'' if number == 1 else 's'}"
