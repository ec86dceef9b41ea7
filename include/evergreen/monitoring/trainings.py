"""The trainings of a pipeline, and what became of their challengers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from evergreen.registry.history import Event, Kind
from evergreen.registry.ids import as_of_version
from evergreen.spec import Spec
from evergreen.training_set.window import Change, change_in

Became = Literal["promoted", "worse", "inconclusive", "declined", "waiting"]


@dataclass(frozen=True)
class Training:
    """A training that took place, as of a partition, and what became of its challenger.

    `promoted`, `worse` and `inconclusive` are the gate's words; `declined` by a person, or nobody answered in
    time; one that is `waiting` is neither, or lost its place to another. `reason` is the kind of reason it
    was started for, empty where it is not known. `version` is the challenger. `known_from` is the partition
    as of which that is so, by default that of the training: one that is promoted by its trial comes later.
    `change` is the last break that was known when it was asked for.
    """

    as_of: str
    outcome: Became
    reason: str = ""
    version: str = ""
    known_from: str = ""
    change: Change | None = None

    def known(self, as_of: str) -> bool:
        """Whether this had become of it as of a partition."""
        return (self.known_from or self.as_of) <= as_of


def trainings_of(events: Iterable[Event], versions: Iterable[str] = ()) -> list[Training]:
    """The trainings of a pipeline, in the order of its history; waiting ones last.

    `versions` are the committed ones. A version that was not promoted at first and then was, by its trial or
    by hand, counts as both, in that order; withdrawing one and removing its files is no training.
    """
    known, found = set[str](), list[Training]()
    for event in events:
        if event.kind is not Kind.CANARY:  # which decides nothing: it waits on
            known.add(event.version)
        reason, change = str(event.reason.get("kind", "")), change_in(event.reason)
        if event.kind is Kind.PROMOTED:
            as_of = as_of_version(event.version)
            since = max(as_of, event.as_of)
            found.append(Training(as_of, "promoted", reason, event.version, since, change))
        elif event.kind is Kind.REFUSED:
            # Earlier releases did not say which: theirs count as worse.
            became = cast(Became, event.reason.get("verdict", "worse"))
            found.append(Training(event.as_of, became, reason, event.version, change=change))
    waiting = sorted(as_of_version(version) for version in versions if version not in known)
    return found + [Training(as_of, "waiting") for as_of in waiting]


def on_trial(spec: Spec, trainings: Sequence[Training]) -> Training | None:
    """The training whose challenger is still compared with the champion: the newest inconclusive one.

    A promotion ends the trial of all that were trained before. `trainings` are in the order of the history. A
    snapshot has no nights after a training, and so no trials.
    """
    if not spec.calendar.has_time:
        return None
    for training in reversed(trainings):
        if training.outcome == "promoted":
            return None
        if training.outcome == "inconclusive" and training.version:
            return training
    return None
