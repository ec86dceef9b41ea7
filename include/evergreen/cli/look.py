"""`evergreen look`: what a file or a table holds, and the YAML of a source that reads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evergreen.cli.command import Answer, register
from evergreen.shown import shown

if TYPE_CHECKING:
    from evergreen.sources.look.found import Column, Look

SourceName = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE", help="a file or its address, the id of a connection, or PIPELINE.SOURCE"
    ),
]
TableName = Annotated[
    str | None, typer.Argument(metavar="[TABLE]", help="a table of the database, or a path of the API")
]
OneConnection = Annotated[
    str | None, typer.Option("--connection", metavar="ID", help="the connection with the keys of an address")
]
MostRows = Annotated[
    int, typer.Option("--rows", metavar="N", min=1, help="how many of the first rows to look at")
]
OnePartition = Annotated[
    str | None,
    typer.Option("--partition", metavar="K", help="the partition of a pipeline's source; default: its first"),
]


def add_to(app: typer.Typer) -> None:
    """Add the command to the app."""
    register(app, "look", "look rentals.csv", "look rentals_db rentals", "look bike_demand.weather")(look)


def look(
    source: SourceName,
    table: TableName = None,
    rows: MostRows = 100_000,
    connection: OneConnection = None,
    partition: OnePartition = None,
) -> Answer:
    """Show what a file or a table holds, and write the YAML of a source that reads it."""
    from evergreen.look import look_at

    found = look_at(source, table, rows, partition=partition, connection=connection)
    return Answer(_document(found), "\n".join(_lines(found)))


def _document(found: Look) -> dict[str, Any]:
    # The YAML says name and config; the rows are not shown.
    return {name: value for name, value in vars(found).items() if name not in ("name", "config", "sample")}


def _lines(found: Look) -> Iterator[str]:
    count = f"{found.rows:,} row{'s' * (found.rows != 1)}"
    yield f"{found.source}: {'all ' if found.is_whole else 'the first '}{count}"
    if found.rejected:
        yield f"rejected: {found.rejected:,}, the first is {found.first_rejected}"
    if found.encoding:
        yield ""
        yield from _aligned(("dialect", "", "told by"), list(_dialect(found)))
    yield ""
    yield from _aligned(
        ("column", "type", "nulls", "distinct", "from", "to", "why it is text"),
        [_row(one) for one in found.columns],
    )
    yield ""
    yield f"key: {' or '.join(', '.join(key) for key in found.keys) or 'none'}"
    yield f"time: {', '.join(found.times) or 'none'}"
    yield f"target: {', '.join(f'{one.column} ({one.task})' for one in found.targets) or 'none'}"
    yield ""
    yield found.yaml.rstrip("\n")


def _dialect(found: Look) -> Iterator[Sequence[str]]:
    """The options of the dialect: name, value, and what told it."""
    yield "encoding", str(found.encoding), found.told.get("encoding", "")
    for key, value in found.dialect.items():
        if key != "encoding":
            yield key, _value(value), found.told.get(key, "")


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(repr(one) for one in value)
    return "none" if value is None else repr(value)


def _row(column: Column) -> Sequence[str]:
    why = ""
    if forced := column.forced:
        others = ""
        if forced.others:
            others = f", {forced.others:,} other{'s are' if forced.others > 1 else ' is'}"
        why = f"{forced.place}: '{forced.value}' is no {forced.kind}{others}"
    return (
        shown(column.name),
        column.type,
        f"{column.nulls:,}",
        f"{column.distinct:,}",
        column.first or "",
        column.last or "",
        why,
    )


def _aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The cells in columns of equal width, divided by two spaces."""
    lines = [head, *rows]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    for line in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
