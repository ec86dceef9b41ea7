"""`evergreen serve`: predictions over HTTP by the champions."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from evergreen.cli import complete
from evergreen.cli.command import Answer, PipelineName, open_pipeline, register, told
from evergreen.cli.shadow import shadow
from evergreen.cli.stages import Partition, newest
from evergreen.errors import EvergreenError, NotFoundError, SpecError, one_line

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline
    from evergreen.serving.listening import Settings

_log = logging.getLogger(__name__)

Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[PIPELINE]...",
        help="their names, or folders; default: all",
        autocompletion=complete.pipelines,
    ),
]
Host = Annotated[str, typer.Option("--host", metavar="ADDRESS", help="the address to listen at")]
Port = Annotated[
    int,
    typer.Option("--port", metavar="PORT", min=0, max=65535, help="the port to listen at; 0: a free one"),
]
Every = Annotated[
    float, typer.Option("--every", metavar="SECONDS", min=0.1, help="how often to look for a new champion")
]
Count = Annotated[int, typer.Option("--workers", metavar="N", min=1, help="processes that answer")]
Token = Annotated[
    str | None,
    typer.Option("--token", metavar="CONN_ID", help="the connection whose password requests must bring"),
]


_START = "start"


class _Started(TyperGroup):
    """The commands below `serve`; without the name of one, the server is started."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments, with the command that they are for."""
        named = bool(args) and args[0] in self.commands
        return super().parse_args(ctx, args if named else [_START, *args])


def add_to(app: typer.Typer) -> None:
    """Add the command to the app, and those below it."""
    below = typer.Typer(cls=_Started, help="Predictions over HTTP by the champions, their skew and shadows.")
    register(below, _START, "serve", "serve bike_demand iris --port 8100")(serve)
    register(below, "skew", "serve skew bike_demand")(skew)
    register(below, "shadow", "serve shadow bike_demand")(shadow)
    app.add_typer(below, name="serve")


def serve(
    pipelines: Names = None,
    *,
    host: Host = "127.0.0.1",
    port: Port = 8100,
    every: Every = 2.0,
    token: Token = None,
    workers: Count = 1,
) -> Answer:
    """Answer requests for predictions by the champions, until it is stopped.

    It follows each pipeline's champion: a promotion or a rollback is served seconds later. `evergreen serve
    skew PIPELINE` compares what was answered with what was published since, `evergreen serve shadow PIPELINE`
    with what the champion's shadow would have answered.
    """
    from evergreen.front_door.opened import find_all

    _share_the_cores()
    from evergreen.serving.listening import Settings

    with told(always=True):
        found = [one for name in pipelines for one in find_all(name)] if pipelines else list(_all())
        opened = list({pipeline.name: pipeline for pipeline in found}.values())
        secret = _secret(opened, token) if token else None
        _run(opened, Settings(host, port, every, secret), workers)
    return Answer({"pipelines": [pipeline.name for pipeline in opened]}, "stopped")


def skew(pipeline: PipelineName, partition: Partition = None) -> Answer:
    """Compare logged requests with the published partition, and their predictions with those of the lake.

    Changed inputs and changed predictions are told apart. Nothing is written.
    """
    from evergreen.skew.in_words import in_words
    from evergreen.skew.measure import measure_skew

    opened = open_pipeline(pipeline)
    key = opened.spec.calendar.check(partition or newest(opened))
    found = measure_skew(opened, key)
    document = {"pipeline": pipeline, "partition": key, **found.document}
    return Answer(document, "\n".join(in_words(opened.spec, key, found)))


def _share_the_cores() -> None:
    """Let threads wait for each other neither too long nor too busily; call it before importing scikit-learn.

    At Python's own 5 ms, a version that is being loaded holds up each answer several times. OpenMP's threads
    spin for milliseconds after a prediction, on cores that others need; not at all, and they must be woken
    for each tree of the next.
    """
    sys.setswitchinterval(0.0005)
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")


def _run(opened: list[Pipeline], settings: Settings, workers: int) -> None:
    from evergreen.serving.listening import address_of, listening

    listener = listening(settings)
    _log.info("%s: %s", ", ".join(pipeline.name for pipeline in opened), address_of(listener))
    alert = None
    if any(pipeline.spec.alerts.to for pipeline in opened):
        from evergreen.alerts.served import ServedAlerts

        alert = ServedAlerts(opened, settings.patience)
    if workers > 1:
        from evergreen.serving.workers import Workers

        Workers(opened, settings, listener, workers, alert).run()
    else:
        from evergreen.serving.server import Server

        Server(opened, settings, listener, alert=alert).run()


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
