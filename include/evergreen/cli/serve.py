"""`evergreen serve`: predictions over HTTP by the champions."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from evergreen.cli.command import Answer, register
from evergreen.errors import EvergreenError

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
    from evergreen.front_door.opened import pipelines as all_pipelines
    from evergreen.serving.server import Server, Settings

    found = (one for name in pipelines or all_pipelines() for one in find_all(name))
    opened = list({pipeline.name: pipeline for pipeline in found}.values())
    _log_to_stderr()
    secret = _token(opened[0].connect(token).password, token) if token else None
    Server(opened, Settings(host, port, every, secret)).run()
    return Answer({"pipelines": [pipeline.name for pipeline in opened]}, "stopped")


def _token(password: str | None, conn_id: str) -> str:
    if not password:
        raise EvergreenError(f"serve: connection '{conn_id}' has no password, which is the token: set one")
    return password


def _log_to_stderr() -> None:
    told = logging.StreamHandler(sys.stderr)
    told.setFormatter(logging.Formatter("%(message)s"))
    log = logging.getLogger("evergreen")
    log.addHandler(told)
    log.setLevel(logging.INFO)
