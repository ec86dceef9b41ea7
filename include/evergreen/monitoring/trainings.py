"""The trainings of a pipeline, and what became of their challengers. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, cast

from evergreen.registry.history import Event, Kind
from evergreen.registry.registry import as_of_version

Became = Literal["promoted", "worse", "inconclusive", "declined", "waiting"]


@dataclass(frozen=True)
class Training:
    """A training that took place, as of a partition, and what became of its challenger.

    `promoted`, `worse` and `inconclusive` are the gate's words; `declined` by a person, or nobody answered in
    time; one that is `waiting` is neither, or lost its place to another. `reason` is the kind of reason it
    was started for, empty where it is not known.
    """

    as_of: str
    outcome: Became
    reason: str = ""


def trainings_of(events: Iterable[Event], versions: Iterable[str] = ()) -> list[Training]:
    """The trainings of a pipeline, in the order of its history; waiting ones last.

    `versions` are the committed ones. A version that was not promoted at first and then was, by hand, counts
    as both, in that order; withdrawing one and removing its files is no training.
    """
    known, found = set[str](), list[Training]()
    for event in events:
        known.add(event.version)
        reason = str(event.reason.get("kind", ""))
        if event.kind is Kind.PROMOTED:
            found.append(Training(event.as_of, "promoted", reason))
        elif event.kind is Kind.REFUSED:
            # Earlier releases did not say which: theirs count as worse.
            found.append(Training(event.as_of, cast(Became, event.reason.get("verdict", "worse")), reason))
    waiting = sorted(as_of_version(version) for version in versions if version not in known)
    return found + [Training(as_of, "waiting") for as_of in waiting]
