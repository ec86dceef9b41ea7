"""`evergreen new`: the folder of a pipeline, drafted from its data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from evergreen.cli.command import Answer, register
from evergreen.shown import shown

if TYPE_CHECKING:
    from evergreen.draft.new import Drafted

NewName = Annotated[
    str, typer.Argument(metavar="NAME", help="the name of the new pipeline, and of its folder")
]
From = Annotated[
    str,
    typer.Option(
        "--from",
        metavar="SOURCE",
        help="a file or its address, postgres://user@host/database/table, the address of an API, or the id "
        "of a connection with --table",
    ),
]
TableName = Annotated[
    str | None,
    typer.Option("--table", metavar="TABLE", help="a table of the database, or a path of the API"),
]
TargetName = Annotated[
    str | None, typer.Option("--target", metavar="COLUMN", help="the column to predict; default: a guess")
]
OneConnection = Annotated[
    str | None, typer.Option("--conn", metavar="ID", help="the connection with login and keys of an address")
]


def add_to(app: typer.Typer) -> None:
    """Add the command to the app."""
    register(
        app,
        "new",
        "new rides --from rides.csv --target duration",
        "new orders --from shop_db --table sales.orders",
        "new orders --from postgres://ada@db.example.org:5432/shop/orders --conn shop_db",
    )(new)


def new(
    name: NewName,
    source: From,
    table: TableName = None,
    target: TargetName = None,
    conn: OneConnection = None,
) -> Answer:
    """Look at data and write the folder of a pipeline that runs.

    What the rows alone tell is a guess: each is a comment in the files that says why. `evergreen check` lists
    those that are left.
    """
    from evergreen.draft.new import new_pipeline

    drafted = new_pipeline(name, source, target=target, table=table, conn_id=conn)
    plan = drafted.plan
    document = {
        "pipeline": name,
        "folder": str(drafted.folder),
        "files": [file.name for file in drafted.files],
        "rows": plan.columns.count,
        "is_whole": plan.look.is_whole,
        "partition": plan.times.grain,
        "from": plan.span[0],
        "to": plan.span[1],
        "key": plan.key.columns,
        "time_column": plan.times.column,
        "target": plan.target.column,
        "task": plan.target.task,
        "metric": plan.model.metric,
        "left_out": dict(plan.left_out),
        "guesses": drafted.guesses,
        "to_define": drafted.to_define,
        "next": _next(drafted),
    }
    return Answer(document, "\n".join(_lines(drafted)))


def _lines(drafted: Drafted) -> Iterator[str]:
    plan = drafted.plan
    yield f"{drafted.folder}: {', '.join(file.name for file in drafted.files)}"
    yield f"target: {shown(plan.target.column)} ({plan.target.task}, {plan.target.why})"
    yield f"key: {', '.join(map(shown, plan.key.columns))} ({plan.key.why})"
    yield f"partition: {plan.times.grain} ({plan.times.why})"
    yield from (f"no feature: {shown(name)} ({why})" for name, why in plan.left_out.items())
    if drafted.to_define:
        yield f"define first: export {drafted.to_define}"
    yield from (f"next: {line}" for line in _next(drafted))


def _next(drafted: Drafted) -> list[str]:
    name, (first, last) = drafted.plan.name, drafted.plan.span
    span = f" --partition {first} --to {last}" if drafted.plan.times.column else ""
    return [f"evergreen check {name}", f"evergreen ingest {name}{span}", f"evergreen train {name}"]
