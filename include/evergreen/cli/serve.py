"""`evergreen serve`: predictions over HTTP by the champions."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from evergreen.cli.command import Answer, register
from evergreen.errors import EvergreenError, NotFoundError, SpecError, one_line

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline

_log = logging.getLogger(__name__)

Names = Annotated[
    list[str] | None, typer.Argument(metavar="[PIPELINE]...", help="their names, or folders; default: all")
]
Host = Annotated[str, typer.Option("--host", metavar="ADDRESS", help="the address to listen at")]
Port = Annotated[
    int,
    typer.Option("--port", metavar="PORT", min=0, max=65535, help="the port to listen at; 0: a free one"),
]
Every = Annotated[
    float, typer.Option("--every", metavar="SECONDS", min=0.1, help="how often to look for a new champion")
]
Token = Annotated[
    str | None,
    typer.Option("--token", metavar="CONN_ID", help="the connection whose password requests must bring"),
]


def add_to(app: typer.Typer) -> None:
    """Add the command to the app."""
    register(app, "serve")(serve)


def serve(
    pipelines: Names = None,
    host: Host = "127.0.0.1",
    port: Port = 8100,
    every: Every = 2.0,
    token: Token = None,
) -> Answer:
    """Answer requests for predictions by the champions, until it is stopped.

    It follows each pipeline's champion: a promotion or a rollback is served seconds later.
    """
    from evergreen.front_door.opened import find_all
    from evergreen.serving.server import Server, Settings

    _log_to_stderr()
    found = [one for name in pipelines for one in find_all(name)] if pipelines else list(_all())
    opened = list({pipeline.name: pipeline for pipeline in found}.values())
    secret = _secret(opened, token) if token else None
    Server(opened, Settings(host, port, every, secret)).run()
    return Answer({"pipelines": [pipeline.name for pipeline in opened]}, "stopped")


def _all() -> Iterator[Pipeline]:
    """All pipelines but those whose description is wrong: the others are served."""
    from evergreen.front_door.opened import find, pipelines

    for name in pipelines():
        try:
            yield find(name)
        except (SpecError, NotFoundError) as error:
            _log.warning("%s is not served: %s", name, one_line(error))


def _secret(opened: list[Pipeline], conn_id: str) -> str:
    if not opened:
        raise EvergreenError("serve: there is no pipeline to serve: 'evergreen check' says why")
    password = opened[0].connect(conn_id).password
    if not password:
        raise EvergreenError(f"serve: connection '{conn_id}' has no password, which is the token: set one")
    return password


def _log_to_stderr() -> None:
    told = logging.StreamHandler(sys.stderr)
    told.setFormatter(logging.Formatter("%(message)s"))
    log = logging.getLogger("evergreen")
    log.addHandler(told)
    log.setLevel(logging.INFO)
