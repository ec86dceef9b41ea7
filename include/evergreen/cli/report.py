"""`evergreen report`: what a night brought and what there is to do, as a page and in words."""

from __future__ import annotations

import typer

from evergreen.cli.command import Answer, PipelineName, open_pipeline, register
from evergreen.cli.stages import Partition, newest


def add_to(app: typer.Typer) -> None:
    """Add the command to the app."""
    register(app, "report", "report bike_demand", "report bike_demand --partition 2011-03-01")(report)


def report(pipeline: PipelineName, partition: Partition = None) -> Answer:
    """Write the report of a night again from the records, and say what there is to do.

    It is the page that the last stage of the night writes. Nothing is sent to anybody.
    """
    from rich.console import Group

    from evergreen.cli.tables import unbroken
    from evergreen.reports.stage import write_night

    opened = open_pipeline(pipeline)
    written = write_night(opened, partition or newest(opened))
    found, page = written.report, opened.storage.uri(written.key)
    document = {
        "pipeline": pipeline,
        "partition": found.partition,
        "sentence": found.sentence,
        "to_do": found.to_do,
        "parts": found.parts,
        "page": page,
    }
    lines = [*found.text.splitlines(), f"page: {page}"]
    return Answer(document, Group(*map(unbroken, lines)))
