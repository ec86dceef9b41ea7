"""The ordered list of a pipeline's stages; DAGs, commands, alerts and the demo read it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """A stage: `name` is the DAG's suffix and tag, and the name of the command and of the timings.

    - `done`: the task of the DAG after which the stage's work is done.
    - `aside`: tasks of the DAG whose failure does not stop any row from being scored.
    - `table`: the lake table that has a partition once the stage has finished it; empty if there is none.
    - `asset`: the asset that the DAG publishes, by which others may be scheduled; empty if there is none.
    - `queue`: the queue and the pool of its tasks, where they must not take the place of others'; empty for
      Airflow's own.
    - `serving`: whether predictions depend on it, so that its failure is critical.
    - `limited`: whether `alerts.limits` may limit how long it takes.
    - `optional`: whether only some pipelines have it, as their description says.
    - `command`: whether a shell can run it.
    """

    name: str
    done: str
    table: str = ""
    asset: str = ""
    aside: tuple[str, ...] = ()
    queue: str = ""
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
    "ingest",
    done="publish",
    table="partitions",
    asset="partitions",
    aside=("labels", "publish_changed"),
    serving=True,
)
SCORE = Stage("score", done="score", table="predictions", asset="predictions", serving=True)
MONITOR = Stage("monitor", done="monitor", table="monitoring")
TRAIN = Stage("train", done="gate", asset="champion", queue="training")
WATCH = Stage("watch", done="watch", limited=False, optional=True, command=False)
MAINTAIN = Stage("maintain", done="maintain", limited=False)

STAGES = (INGEST, SCORE, MONITOR, TRAIN, WATCH, MAINTAIN)
NIGHTLY = tuple(stage for stage in STAGES if stage.table)
"""The stages without which a night is not finished."""


def stage_named(name: str) -> Stage:
    """The stage with this name; raises `KeyError` if there is none."""
    return {stage.name: stage for stage in STAGES}[name]


def stage_of(dag_id: str) -> tuple[str, Stage]:
    """The pipeline and the stage of a DAG; raises `KeyError` for a DAG of no stage."""
    pipeline, _, name = dag_id.rpartition("_")
    return pipeline, stage_named(name)
