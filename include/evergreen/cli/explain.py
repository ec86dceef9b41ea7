"""`evergreen explain`: why a version, a partition or the decision of its night is as it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from evergreen.cli import complete
from evergreen.cli.command import Answer, PipelineName, open_pipeline, register, table
from evergreen.cli.tables import unbroken

if TYPE_CHECKING:
    from rich.console import RenderableType

    from evergreen.explain.explanation import Explanation

What = Annotated[
    str,
    typer.Argument(
        metavar="VERSION|PARTITION",
        help="a version or the beginning of one, or a partition's key",
        autocompletion=complete.versions,
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the command to the app."""
    register(app, "explain", "explain bike_demand 2011-03-01", "explain bike_demand 2011-03-01-5ec4")(explain)


def explain(pipeline: PipelineName, what: What) -> Answer:
    """Say why a version was promoted or refused, or what became of a partition and what its night decided.

    Everything is told from the records: the history and the gate, validation, and the record of monitoring.
    """
    from rich.console import Group

    from evergreen.explain.find import explained

    found = explained(open_pipeline(pipeline), what)
    parts = [part for one in found for part in _shown(one)]
    return Answer({"pipeline": pipeline, "explanations": found}, Group(*parts))


def _shown(one: Explanation) -> Iterator[RenderableType]:
    yield unbroken(one.sentence)
    if one.grounds:
        rows = ((ground.name, ground.word, ground.detail) for ground in one.grounds)
        yield table(["on what grounds", "", "what was found"], rows)
    for place in one.see:
        yield unbroken(f"see: {place}")
