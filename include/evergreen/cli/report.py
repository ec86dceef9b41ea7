"""`evergreen report`: what a night or a week brought and what there is to do, as a page and in words."""

from __future__ import annotations

from typing import Annotated

import typer

from evergreen.cli.command import Answer, PipelineName, open_pipeline, register
from evergreen.cli.stages import Partition, newest

Week = Annotated[
    bool, typer.Option("--week", help="the week in which the partition ends, instead of its night alone")
]


def add_to(app: typer.Typer) -> None:
    """Add the command to the app."""
    examples = (
        "report bike_demand",
        "report bike_demand --partition 2011-03-01",
        "report bike_demand --week",
    )
    register(app, "report", *examples)(report)


def report(pipeline: PipelineName, partition: Partition = None, week: Week = False) -> Answer:
    """Write the report of a night or a week again from the records, and say what there is to do.

    It is the page that the last stage of the night writes. Nothing is sent to anybody.
    """
    from rich.console import Group

    from evergreen.cli.tables import unbroken
    from evergreen.reports.stage import write_night, write_week

    opened = open_pipeline(pipeline)
    written = (write_week if week else write_night)(opened, partition or newest(opened))
    found, page = written.report, opened.storage.uri(written.key)
    document = {
        "pipeline": pipeline,
        "name": found.name,
        "partition": found.partition,
        "sentence": found.sentence,
        "to_do": found.to_do,
        "parts": found.parts,
        "page": page,
    }
    lines = [*found.text.splitlines(), f"page: {page}"]
    return Answer(document, Group(*map(unbroken, lines)))
