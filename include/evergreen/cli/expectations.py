"""`evergreen suggest-expectations`: a draft of a suite from what is published."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evergreen.cli.command import Answer, PipelineName, open_pipeline, register
from evergreen.errors import EvergreenError

Last = Annotated[
    int, typer.Option("--last", metavar="N", min=1, help="how many of the newest partitions to draft from")
]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="a new file for the draft; default: standard output"),
]


def add_to(app: typer.Typer) -> None:
    """Add the command to the app."""
    register(app, "suggest-expectations", "suggest-expectations bike_demand --last 28 --out draft.yaml")(
        suggest_expectations
    )


def suggest_expectations(pipeline: PipelineName, last: Last = 28, out: Out = None) -> Answer:
    """Draft expectations from the published history, as YAML for you to edit."""
    from evergreen.validation.suggest import suggest

    drafted = suggest(open_pipeline(pipeline), last)
    document = {
        "pipeline": pipeline,
        "from": drafted.first,
        "to": drafted.last,
        "partitions": drafted.partitions,
        "rows": drafted.rows,
    }
    if out is None:
        # The output adds the line break at the end.
        return Answer({**document, "draft": drafted.text}, drafted.text.removesuffix("\n"))
    _write(out, drafted.text)
    count = f"{drafted.partitions} partition{'s' if drafted.partitions > 1 else ''}"
    return Answer({**document, "file": str(out)}, f"{out}: a draft from {count}")


def _write(file: Path, text: str) -> None:
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        raise EvergreenError(f"{file} exists already and is not overwritten: name a new file") from None
    except OSError as error:
        raise EvergreenError(f"{file} cannot be written ({error.strerror}): name another file") from None
