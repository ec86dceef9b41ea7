"""`evergreen models compare`: two versions side by side, as the page of Airflow's UI has them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evergreen.cli import complete
from evergreen.cli.command import Answer, PipelineName, open_pipeline, table

if TYPE_CHECKING:
    from evergreen.side_by_side.compare import SideBySide
    from evergreen.side_by_side.predicted import SameRows
    from evergreen.side_by_side.read import Side

_HELP = "a version, or the beginning of its id"
First = Annotated[str, typer.Argument(metavar="FIRST", help=_HELP, autocompletion=complete.versions)]
Second = Annotated[str, typer.Argument(metavar="SECOND", help=_HELP, autocompletion=complete.versions)]
Predict = Annotated[
    bool, typer.Option("--predict", help="also what both predict of the golden rows of the later one")
]


def compare_versions(
    pipeline: PipelineName, first: First, second: Second, predict: Predict = False
) -> Answer:
    """Two versions side by side: what differs of their data, model, features, metrics and slices."""
    from rich.console import Group

    from evergreen.side_by_side.compare import compare
    from evergreen.side_by_side.predicted import predicted
    from evergreen.side_by_side.read import read_sides

    opened = open_pipeline(pipeline)
    versions = [opened.registry.version_by(name) for name in (first, second)]
    both = compare(*read_sides(opened, *versions))
    rows = predicted(opened, *versions) if predict else None
    document = {
        "pipeline": pipeline,
        "first": _side(both.first),
        "second": _side(both.second),
        "parts": both.parts,
        "code": both.code,
        "predictions": rows,
    }
    return Answer(document, Group(*_shown(both), *(_predictions(rows) if rows else ())))


def _side(side: Side) -> dict[str, Any]:
    return {"version": side.version, "state": side.state, "problems": side.problems}


def _shown(both: SideBySide) -> Iterator[Any]:
    from evergreen.explain.version import is_now
    from evergreen.side_by_side.compare import counts

    for name, side in (("first", both.first), ("second", both.second)):
        yield f"{name}: {side.version} {is_now(side.state)}"
        yield from side.problems
    for part in both.parts:
        yield f"\n{part.name}: {counts(part)}{f'. {part.note}' if part.note and part.differing else ''}"
        if part.differing:
            lines = [(line.name, line.first, line.second, line.change) for line in part.differing]
            yield table(["what", "first", "second", "change"], lines)
    for origin, diff in both.code.items():
        yield "\n".join((f"\nHow the code of {origin} changed:", *diff))


def _predictions(rows: SameRows) -> Iterator[Any]:
    from evergreen.numbers import number, signed
    from evergreen.side_by_side.lines import text

    said = f"\nPredictions of the same {len(rows.rows)} rows of {rows.partition}: {rows.equal} are the same"
    if rows.mean is not None:
        said += f"; they differ by {number(rows.mean)} on average, by {number(rows.most)} at most"
    yield said
    yield table(
        ["row", "it was", "first", "second", "change"],
        [
            (row.key, text(row.actual), text(row.first), text(row.second), row.change and signed(row.change))
            for row in rows.rows
        ],
    )
