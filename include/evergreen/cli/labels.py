"""The command `labels`: read the labels that became due with partitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from evergreen.cli.command import Answer, PipelineName, open_pipeline, progress, register, table
from evergreen.cli.stages import Partition, To, newest, partitions

if TYPE_CHECKING:
    from evergreen.labels.ingest import Labelled


def add_to(app: typer.Typer) -> None:
    """Add the command to the app."""
    register(
        app, "labels", "labels bike_demand", "labels bike_demand --partition 2011-03-01 --to 2011-03-31"
    )(labels)


def labels(pipeline: PipelineName, partition: Partition = None, to: To = None) -> Answer:
    """Read the labels that became due with partitions: those of the partitions `labels.delay` earlier."""
    from evergreen.labels.ingest import ingest_labels

    opened = open_pipeline(pipeline)
    keys = partitions(opened, partition or newest(opened), to)
    with progress(f"labels {pipeline}", len(keys)) as done:
        found = ingest_labels(opened, keys, done)
    rows = [_row(one) for one in found]
    columns = list(rows[0])
    return Answer({"pipeline": pipeline, "partitions": rows}, table(columns, (row.values() for row in rows)))


def _row(one: Labelled) -> dict[str, Any]:
    return {
        "partition": one.partition,
        "labels": one.labels,
        "rows": one.rows,
        "labelled": one.labelled,
        "without_row": one.without_row,
        "left_out": one.absent + one.outside + one.rejected,
        "changed": one.changed,
    }
