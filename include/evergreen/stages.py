"""The stages of a pipeline in the order of a night: the one list for DAGs, commands, alerts and the demo."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """A stage: its `name` is that of the DAG's suffix and tag, of the command and of its timings.

    - `done`: the task of the DAG after which the stage's work is done.
    - `aside`: tasks of the DAG whose failure does not stop any row from being scored.
    - `table`: the lake table that holds a partition once the stage is done with it; empty where none does.
    - `asset`: what the DAG publishes, which others may be scheduled by; empty where it publishes nothing.
    - `serving`: whether there are no predictions without it, so that its failure is critical.
    - `limited`: whether `alerts.limits` may limit how long it takes.
    - `optional`: whether only some pipelines have it, as their description says.
    - `command`: whether a shell can run it.
    """

    name: str
    done: str
    table: str = ""
    asset: str = ""
    aside: tuple[str, ...] = ()
    serving: bool = False
    limited: bool = True
    optional: bool = False
    command: bool = True

    def __str__(self) -> str:
        return self.name

    def dag_id(self, pipeline: str) -> str:
        """The id of the stage's DAG of a pipeline."""
        return f"{pipeline}_{self.name}"


INGEST = Stage(
    "ingest", done="publish", table="partitions", asset="partitions", aside=("labels",), serving=True
)
SCORE = Stage("score", done="score", table="predictions", asset="predictions", serving=True)
MONITOR = Stage("monitor", done="monitor", table="monitoring")
TRAIN = Stage("train", done="gate", asset="champion")
WATCH = Stage("watch", done="watch", limited=False, optional=True, command=False)

STAGES = (INGEST, SCORE, MONITOR, TRAIN, WATCH)
NIGHTLY = tuple(stage for stage in STAGES if stage.table)
"""The stages without which a night is not finished."""


def stage_named(name: str) -> Stage:
    """The stage with this name; raises `KeyError` where there is none."""
    return {stage.name: stage for stage in STAGES}[name]


def stage_of(dag_id: str) -> tuple[str, Stage]:
    """The pipeline and the stage that a DAG is of; raises `KeyError` for one that is of none."""
    pipeline, _, name = dag_id.rpartition("_")
    return pipeline, stage_named(name)
