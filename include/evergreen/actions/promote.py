"""Promote a version by hand, whatever the gate decided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from evergreen.actions.action import Action, Person, Preview, Start, Wanted, by_hand, counted
from evergreen.registry.history import Event, Kind, fold
from evergreen.registry.ids import as_of_version
from evergreen.scoring.afresh import check_afresh
from evergreen.sinks.mlflow.follow import tell_mlflow_or_warn
from evergreen.stages import TRAIN

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline
    from evergreen.registry.history import Force
    from evergreen.stages import Stage


class Promote(Action):
    """Put a version in force from its as-of on."""

    name: ClassVar[str] = "promote"
    label: ClassVar[str] = "Promote"
    stage: ClassVar[Stage] = TRAIN
    takes: ClassVar[tuple[str, ...]] = ("version",)

    def preview(self, pipeline: Pipeline, wanted: Wanted) -> Preview:
        """Which version will be in force from when on, and what stays."""
        version = pipeline.registry.version_by(wanted["version"])
        return promotion(pipeline.name, pipeline.registry.history(), scored(pipeline), version)

    def run(self, pipeline: Pipeline, seen: Preview, person: Person, start: Start) -> str:
        """Promote it, if nothing happened to the models since."""
        version = seen.wanted["version"]
        event = promote(pipeline, version, by=person.name, why=person.why, seen=int(seen.state))
        return f"{version} is in force from {event.as_of} on; the champion is {pipeline.registry.champion()}."


def promote(
    pipeline: Pipeline,
    version: str,
    *,
    by: str | None = None,
    why: str | None = None,
    seen: int | None = None,
) -> Event:
    """Promote a committed version once all of its files and its golden sample are right.

    `by` and `seen` are those of `Registry.promote`, whose errors are raised, as those of `check_afresh`.
    """
    registry = pipeline.registry
    for name in registry.files(version):
        registry.read(version, name)
    check_afresh(pipeline, version)
    event = registry.promote(version, as_of_version(version), by_hand(why), by=by, seen=seen)
    tell_mlflow_or_warn(pipeline)
    return event


def promotion(pipeline: str, events: Sequence[Event], scored: Sequence[str], version: str) -> Preview:
    """What the promotion of a version will do after these events. Pure.

    `scored` are the partitions that have predictions.
    """
    force, as_of = fold(events), as_of_version(version)
    title, wanted = f"Promote {version} in {pipeline}", {"version": version}
    if force.holds(version):
        said = (f"{version} is in force already: there is nothing to promote.",)
        return Preview(title, said, str(force.seq), wanted, possible=False)
    after = force.after(Event(force.seq + 1, Kind.PROMOTED, version, as_of, force.champion(as_of)))
    sentences = [
        "Its files and its golden sample are checked first, which takes some seconds.",
        champion_after(force, after),
        f"It is in force from {as_of} on, whatever the gate decided.",
        *kept(force, after, scored),
    ]
    return Preview(title, tuple(sentences), str(force.seq), wanted)


def champion_after(force: Force, after: Force) -> str:
    """Who is the champion afterwards."""
    before, now = force.champion(), after.champion()
    if before == now:
        return f"The champion stays {now}, which is of a later partition."
    return f"The champion becomes {now}, in place of {before}." if before else f"The champion becomes {now}."


def kept(force: Force, after: Force, scored: Sequence[str]) -> list[str]:
    """What follows for the nights that are scored, for servers and for a canary."""
    count = sum(force.champion(key) != after.champion(key) for key in scored)
    sentences = []
    if count:
        have = "keeps its" if count == 1 else "keep their"
        sentences.append(
            f"{counted(count, 'scored partition')} of which another version is in force then {have} "
            "predictions; only what is scored again is predicted anew."
        )
    if force.champion() != after.champion():
        sentences.append("Servers of predictions follow within seconds.")
    if force.canary is not None and after.canary is None:
        sentences.append(f"The canary {force.canary.version} ends.")
    return sentences


def scored(pipeline: Pipeline) -> list[str]:
    """The partitions that have predictions."""
    from evergreen.lake import Table

    return pipeline.lake.partitions(Table.PREDICTIONS)
