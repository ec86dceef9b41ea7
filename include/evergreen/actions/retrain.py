"""Train now, on all that is published: a run of the training's DAG, in which the gate decides as ever."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from evergreen.actions.action import (
    Action,
    Person,
    Preview,
    Right,
    Start,
    Training,
    Wanted,
    check_unchanged,
    digest,
)
from evergreen.lake import Table
from evergreen.stages import TRAIN
from evergreen.training.stage import next_as_of

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline
    from evergreen.stages import Stage


class Retrain(Action):
    """Start one training as of the partition after the newest published one."""

    name: ClassVar[str] = "retrain"
    label: ClassVar[str] = "Retrain now"
    stage: ClassVar[Stage] = TRAIN
    right: ClassVar[Right] = Right.RUN

    def preview(self, pipeline: Pipeline, wanted: Wanted) -> Preview:
        """What is trained on, and who decides on the result."""
        as_of, has_time = next_as_of(pipeline), pipeline.spec.calendar.has_time
        registry = pipeline.registry
        asked = " or a person, where the description asks for one," if pipeline.spec.gate.approval else ""
        sentences = (
            f"A run of {TRAIN.dag_id(pipeline.name)} starts; if that DAG is paused, the run waits.",
            f"It trains on what is published before {as_of}."
            if has_time
            else "It trains on the rows of the snapshot.",
            f"The gate{asked} decides whether the new version is promoted; until then "
            f"{registry.champion() or 'no version'} stays in force.",
            "Your name and reason are kept with the version.",
        )
        state = digest(as_of, pipeline.lake.version(Table.PARTITIONS), registry.force().seq)
        return Preview(f"Train {pipeline.name} now", sentences, state, {})

    def run(self, pipeline: Pipeline, seen: Preview, person: Person, start: Start) -> str:
        """Start the run; the same person starts one for the same state of the data and the models."""
        check_unchanged(self.preview(pipeline, {}), seen)
        training = request(next_as_of(pipeline), seen.state, person)
        start(training)
        return f"The training {training.run_id} of {TRAIN.dag_id(pipeline.name)} is started."


def request(as_of: str, state: str, person: Person) -> Training:
    """The training that a person asks for. Pure."""
    sentence = f"asked for by {person.name}" + (f": {person.why}" if person.why else "")
    reason = {"kind": "by hand", "sentence": sentence, "by": person.name, "why": person.why}
    run_id = f"by_hand__{as_of}__{digest(state, person.name)}"
    return Training(run_id, {"as_of": as_of, "reason": reason})
