"""The training set of a run, which one task stages and the next ones build again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from evergreen.errors import IntegrityError
from evergreen.rows.frame import to_frame
from evergreen.training_set.assemble import TrainingSet, assemble
from evergreen.training_set.read import read_training_set

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline

NOTE, _ROWS = "training.json", "training_rows.parquet"


def stage_rows(
    pipeline: Pipeline, run: str, training_set: TrainingSet, rows: pd.DataFrame, began: str
) -> None:
    """Stage the rows that a training set was built from; of a sample only the versions of their tables."""
    staging, lineage = pipeline.staging(run), training_set.lineage
    if pipeline.spec.training.sample is None:
        staging.write_table(_ROWS, pa.Table.from_pandas(rows, preserve_index=False))
    note = {name: lineage[name] for name in ("as_of", "version", "reason")}
    staging.write_json(NOTE, {**note, "lake_version": lineage["table_versions"], "began": began})


def staged_set(pipeline: Pipeline, run: str) -> tuple[TrainingSet, pd.DataFrame]:
    """The staged training set, and the raw rows as `read_training_set` gives them.

    Raises `IntegrityError` if they are others than those that were staged.
    """
    note = pipeline.staging(run).read_json(NOTE)
    as_of, reason, versions = note["as_of"], note["reason"], note["lake_version"]
    if pipeline.spec.training.sample is None:
        rows = to_frame(pipeline.staging(run).read_table(_ROWS))
        training_set = assemble(pipeline.spec, rows, as_of, versions, reason)
    else:
        training_set, rows = read_training_set(pipeline, as_of, reason, versions)
    if training_set.version != note["version"]:
        raise IntegrityError(
            f"{pipeline.name}: description or code changed since run '{run}' began with {note['version']} "
            f"(now {training_set.version}): clear the run from its first task"
        )
    return training_set, rows
