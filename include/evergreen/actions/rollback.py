"""Withdraw the champion: an earlier version is in force again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from evergreen.actions.action import Action, Person, Preview, Start, Wanted, by_hand
from evergreen.actions.promote import champion_after, kept, scored
from evergreen.registry.history import Event, Kind, fold
from evergreen.sinks.mlflow.follow import tell_mlflow_or_warn
from evergreen.stages import TRAIN

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline
    from evergreen.stages import Stage


class RollBack(Action):
    """Withdraw the champion; `to`, by default the version before it, is in force in its place."""

    name: ClassVar[str] = "rollback"
    label: ClassVar[str] = "Roll back"
    stage: ClassVar[Stage] = TRAIN
    may_take: ClassVar[tuple[str, ...]] = ("to",)

    def preview(self, pipeline: Pipeline, wanted: Wanted) -> Preview:
        """Which version is withdrawn, and which is in force again."""
        to = pipeline.registry.version_by(wanted["to"]) if "to" in wanted else None
        return rolling_back(pipeline.name, pipeline.registry.history(), scored(pipeline), to)

    def run(self, pipeline: Pipeline, seen: Preview, person: Person, start: Start) -> str:
        """Roll back, if nothing happened to the models since."""
        event = roll_back(pipeline, seen.wanted["to"], by=person.name, why=person.why, seen=int(seen.state))
        return f"The champion is {event.version}; {event.replaces} is withdrawn."


def roll_back(
    pipeline: Pipeline,
    to: str | None = None,
    *,
    by: str | None = None,
    why: str | None = None,
    seen: int | None = None,
) -> Event:
    """Withdraw the champion; arguments and errors are those of `Registry.rollback`."""
    event = pipeline.registry.rollback(to, by_hand(why), by=by, seen=seen)
    tell_mlflow_or_warn(pipeline)
    return event


def rolling_back(
    pipeline: str, events: Sequence[Event], scored: Sequence[str], to: str | None = None
) -> Preview:
    """What a rollback will do after these events, to the version `to` or the one before. Pure.

    `scored` are the partitions that have predictions.
    """
    force = fold(events)
    champion, start = force.champion(), force.start
    earlier = [version for _, version in force.stack if version != champion]
    to, title = to or (earlier[-1] if earlier else None), f"Roll back {pipeline}"
    why_not = ""
    if champion is None or start is None:
        why_not = "No version is in force, so there is nothing to roll back."
    elif to is None:
        why_not = f"{champion} is the only version in force: there is none to go back to. Train another one."
    elif to == champion:
        why_not = f"{to} is the champion already."
    elif not any(event.kind is Kind.PROMOTED and event.version == to for event in events):
        why_not = f"{to} was never promoted, so there is no going back to it: promote it."
    if why_not or champion is None or start is None or to is None:
        return Preview(title, (why_not,), str(force.seq), {}, possible=False)
    after = force.after(Event(force.seq + 1, Kind.ROLLED_BACK, to, start, champion))
    sentences = [
        champion_after(force, after),
        f"{to} is in force from {start} on.",
        f"{champion} is withdrawn from all partitions, and stays so until a person promotes it again.",
        *kept(force, after, scored),
    ]
    return Preview(title, tuple(sentences), str(force.seq), {"to": to})
