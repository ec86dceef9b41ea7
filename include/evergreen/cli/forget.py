"""`evergreen forget`: delete all that the storage has of a pipeline."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from evergreen.cli import complete
from evergreen.cli.command import Answer, register
from evergreen.errors import EvergreenError

if TYPE_CHECKING:
    from evergreen.belongings import Part
    from evergreen.storage import Storage

Name = Annotated[
    str,
    typer.Argument(
        metavar="PIPELINE",
        help="its name; its folder may be gone already",
        autocompletion=complete.pipelines,
    ),
]
Asked = Annotated[
    list[str] | None,
    typer.Option(
        "--asked", metavar="COLUMN=VALUE", help="only requests for rows with this value; several: with all"
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="do not ask")]


def add_to(app: typer.Typer) -> None:
    """Add the command to the app."""
    register(app, "forget", "forget bike_demand")(forget)


def forget(pipeline: Name, yes: Yes = False, asked: Asked = None) -> Answer:
    """Delete a pipeline's lake, models, history, pages and receipts from the storage, after asking.

    What servers look back to in a database goes too. Its folder, its DAGs and a table of predictions stay.
    With --asked nothing is deleted but logged requests for some rows, and it does not ask.
    """
    from evergreen.belongings import parts_of
    from evergreen.environment import variables
    from evergreen.forget import forget as delete
    from evergreen.storage import Credentials, Storage

    found = variables()
    storage = Storage.open(found.get("EVERGREEN_STORAGE"), Credentials.from_environment(found))
    if asked:
        return _forget_asked(storage, pipeline, asked)
    parts, where = parts_of(storage, pipeline), storage.uri(f"{pipeline}/")
    stays = _stays(pipeline)
    document = {
        "pipeline": pipeline,
        "at": where,
        "parts": [{"name": part.name, "objects": part.objects, "bytes": part.bytes} for part in parts],
        "stays": stays,
    }
    if not parts:
        return Answer({**document, "deleted": 0}, f"{pipeline}: there is nothing at {where}")
    if not yes:
        print("\n".join([f"{pipeline}: at {where} will be deleted for good:", *map(_line, parts)]))  # noqa: T201
        print("\n".join(stays))  # noqa: T201
        if not _confirmed(pipeline):
            raise EvergreenError(f"{pipeline}: nothing was deleted: type the pipeline's name, or give --yes")
    _forget_look_back(pipeline)
    deleted = delete(storage, pipeline)
    return Answer({**document, "deleted": deleted}, f"{pipeline}: {deleted} objects at {where} were deleted")


def _forget_asked(storage: Storage, pipeline: str, asked: list[str]) -> Answer:
    """Delete the logged requests for the rows of some values."""
    from evergreen.request_log.forget import forget_rows
    from evergreen.request_log.store import RequestLog

    values = dict(one.split("=", 1) for one in asked if "=" in one)
    if len(values) < len(asked):
        raise typer.BadParameter("write a column and its value like --asked customer=17")
    rows = forget_rows(RequestLog(storage, pipeline), values)
    document = {"pipeline": pipeline, "values": values, "rows": rows}
    return Answer(document, f"{pipeline}: {rows} logged rows with {', '.join(asked)} were deleted")


def _forget_look_back(pipeline: str) -> None:
    """Delete first what is a copy: where its database fails, nothing is deleted yet."""
    from evergreen.connections import from_environment
    from evergreen.description import pipelines_folder
    from evergreen.environment import variables
    from evergreen.look_back.keep import forget_look_back
    from evergreen.spec import load_spec, pipelines_of

    found, look_back = variables(), None
    folder = pipelines_folder(found)
    with suppress(EvergreenError):  # a description that is gone or broken names no connection
        # What a folder published before it had several targets is where theirs is.
        look_back = load_spec(pipelines_of(pipeline, folder)[0], folder).serving.look_back
    if look_back is not None and look_back.conn_id is not None:
        forget_look_back(pipeline, from_environment(look_back.conn_id, found))


def _confirmed(pipeline: str) -> bool:
    print(f"Type {pipeline} to delete it: ", end="", flush=True)  # noqa: T201
    return sys.stdin.readline().strip() == pipeline


def _line(part: Part) -> str:
    return f"  {part.words} ({part.size})"


def _stays(pipeline: str) -> list[str]:
    """What is not deleted, and who will miss what is, as far as descriptions tell."""
    from evergreen.description import pipelines_folder
    from evergreen.environment import variables
    from evergreen.spec import load_spec, pipeline_names

    told: list[str] = []
    folder = pipelines_folder(variables())
    with suppress(EvergreenError):
        for name in pipeline_names(folder):
            with suppress(EvergreenError):  # a broken description is told of by `evergreen check`
                spec = load_spec(name, folder)
                if name == pipeline:
                    told.append(f"its description stays: {spec.folder}")
                    if spec.scoring:
                        told.append(
                            f"its table of predictions stays: {spec.scoring.table} at connection "
                            f"'{spec.scoring.conn_id}'"
                        )
                lookups = [
                    one for one, lookup in spec.features.lookups.items() if lookup.pipeline == pipeline
                ]
                if lookups:
                    told.append(f"the pipeline {name} looks up its rows ({', '.join(lookups)})")
    return told
