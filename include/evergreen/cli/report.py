"""`evergreen report`: what a night or a week brought and what there is to do, as a page and in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from evergreen.cli.command import Answer, open_pipeline, optional_pipeline, register
from evergreen.cli.stages import Partition, newest
from evergreen.environment import home

if TYPE_CHECKING:
    from evergreen.reports.report import Report

OnePipeline = Annotated[
    str | None, optional_pipeline("the name of a pipeline; with --week and without a name: all of them")
]
Week = Annotated[
    bool, typer.Option("--week", help="the week in which the partition ends, instead of its night alone")
]


def add_to(app: typer.Typer) -> None:
    """Add the command to the app."""
    of_bikes = "report bike_demand"
    examples = (of_bikes, f"{of_bikes} --partition 2011-03-01", f"{of_bikes} --week", "report --week")
    register(app, "report", *examples)(report)


def report(pipeline: OnePipeline = None, partition: Partition = None, week: Week = False) -> Answer:
    """Write the report of a night or a week again from the records, and say what there is to do.

    It is the page that the last stage of the night writes. Nothing is sent to anybody. Of all pipelines it is
    one page of the newest week that is over, below EVERGREEN_HOME/reports.
    """
    if pipeline is not None:
        return _one(pipeline, partition, week)
    if not week or partition is not None:
        raise typer.BadParameter("name a pipeline; only --week, without --partition, tells of all of them")
    return _all()


def _one(pipeline: str, partition: str | None, week: bool) -> Answer:
    from evergreen.reports.stage import write_night, write_week

    opened = open_pipeline(pipeline)
    written = (write_week if week else write_night)(opened, partition or newest(opened))
    page = opened.storage.uri(written.key)
    document = {**_document(written.report), "page": page}
    return _answer(document, [*written.report.text.splitlines(), f"page: {page}"])


def _all() -> Answer:
    from evergreen.front_door.opened import pipelines
    from evergreen.reports.page import render_weeks
    from evergreen.reports.weeks import weeks_of

    found = weeks_of(pipelines(), open_pipeline)
    page = home() / "reports" / f"week-{found.day}.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_bytes(render_weeks(found))
    documents, lines = [], []
    for told in found.told:
        if told.report is None:
            documents.append({"pipeline": told.pipeline, "problem": told.problem})
            lines.append(f"{told.pipeline}: {told.problem}")
        else:
            documents.append(_document(told.report))
            lines += [told.report.heading, *(f"  {one.what}" for one in told.report.to_do)]
    document = {"week_ends": str(found.day), "pipelines": documents, "page": str(page)}
    return _answer(document, [*lines, f"page: {page}"])


def _document(found: Report) -> dict[str, Any]:
    return {
        "pipeline": found.pipeline,
        "name": found.name,
        "partition": found.partition,
        "sentence": found.sentence,
        "to_do": found.to_do,
        "parts": found.parts,
    }


def _answer(document: dict[str, Any], lines: list[str]) -> Answer:
    from rich.console import Group

    from evergreen.cli.tables import unbroken

    return Answer(document, Group(*map(unbroken, lines)))
