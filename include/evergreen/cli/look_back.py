"""The command `look-back`: write what online requests look back to into its database."""

from __future__ import annotations

import typer

from evergreen.cli.command import Answer, PipelineName, open_pipeline, register


def add_to(app: typer.Typer) -> None:
    """Add the command to the app."""
    register(app, "look-back", "look-back bike_demand")(look_back)


def look_back(pipeline: PipelineName) -> Answer:
    """Write the newest partitions into the database of `serving.look_back`, as every publication does.

    For history that was published before it was described, and after the database was away. What is there
    is checked, and written again where it is damaged.
    """
    from evergreen.look_back.keep import keep_look_back

    change = keep_look_back(open_pipeline(pipeline), check=True)
    document = {
        "pipeline": pipeline,
        "written": [*change.written],
        "removed": [*change.removed],
        "kept": change.kept,
    }
    said = f"{pipeline}: {len(change.written)} partitions written, {len(change.removed)} removed"
    return Answer(document, f"{said}; the database has the {change.kept} that features look back to")
