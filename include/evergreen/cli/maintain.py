"""`evergreen maintain`: write checkpoints, and delete what nothing reads any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from evergreen.cli.command import Answer, each, open_pipeline, optional_pipeline, register, table
from evergreen.errors import EvergreenError
from evergreen.stages import MAINTAIN

if TYPE_CHECKING:
    from evergreen.maintenance.stage import Maintained

OnePipeline = Annotated[str | None, optional_pipeline("one of them; default: all")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="change nothing, and show what would be deleted")]


def add_to(app: typer.Typer) -> None:
    """Add the command to the app."""
    register(app, MAINTAIN.name, "maintain bike_demand", "maintain --dry-run")(maintain)


def maintain(pipeline: OnePipeline = None, dry_run: DryRun = False) -> Answer:
    """Delete pages, notes and files that nothing needs any more, and write checkpoints of tables.

    Rows, predictions, records and versions stay. How long pages are kept is said by `maintenance.keep`.
    """
    from evergreen.front_door.opened import pipelines
    from evergreen.maintenance.stage import maintain as run

    found, problems = [], list[EvergreenError]()
    for name in [pipeline] if pipeline else each(pipelines(), "maintain"):
        try:
            found.append((name, run(open_pipeline(name), dry_run=dry_run)))
        except EvergreenError as error:  # of one pipeline, which must not keep the others from it
            problems.append(error)
    document = {"dry_run": dry_run, "pipelines": [_document(*one) for one in found]}
    shown = table(
        ["pipeline", "would be deleted" if dry_run else "deleted", "how many"],
        ((name, part.words, part.size) for name, done in found for part in done.parts),
    )
    if problems:
        line = "; ".join(map(str, problems))
        return Answer({**document, "error": line}, shown, problems[0].exit_code, line)
    if not any(done.parts for _, done in found):
        return Answer(document, "nothing is stored that nothing needs")
    return Answer(document, shown)


def _document(name: str, done: Maintained) -> dict[str, Any]:
    return {
        "pipeline": name,
        "checkpoints": done.checkpoints,
        "deleted": [
            {"name": part.name, "objects": part.objects, "bytes": part.bytes, "keys": keys}
            for part in done.parts
            if (keys := [entry.key for entry in done.plan.found[part.name]])
        ],
    }
