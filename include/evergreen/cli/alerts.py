"""`evergreen alerts`: which alerts are open, and which of them are muted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from evergreen.author import author
from evergreen.cli.command import Answer, PipelineName, Why, open_pipeline, register, table

if TYPE_CHECKING:
    from evergreen.alerts.mute import Mute

Key = Annotated[str, typer.Argument(metavar="KEY", help="an alert's key, as `alerts list` shows it")]
Until = Annotated[
    str | None,
    typer.Option(
        "--until",
        metavar="KEY",
        help="the first partition of which receivers are told again; default: until the alert is over",
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands to the app, below `alerts`."""
    alerts = typer.Typer(no_args_is_help=True, help="Alerts: which are open, and mute one.")
    for name, command, examples in (
        ("list", list_alerts, ["bike_demand"]),
        (
            "mute",
            mute,
            ["bike_demand drift --why 'the summer sale'", "bike_demand drift --until 2011-07-01"],
        ),
        ("unmute", unmute, ["bike_demand drift"]),
    ):
        register(alerts, name, *(f"alerts {name} {one}" for one in examples))(command)
    app.add_typer(alerts, name="alerts")


def list_alerts(pipeline: PipelineName) -> Answer:
    """The alerts that are open, who was told of them, and who muted which; with --json also ended mutes."""
    from evergreen.alerts.book import read_book
    from evergreen.alerts.mute import mute_of

    opened = open_pipeline(pipeline)
    book, _ = read_book(opened.storage, pipeline)
    found = []
    for alert in book.open:
        silent = mute_of(book.mutes, alert.key)
        found.append({"alert": alert, "told": book.entries[alert.key].told, "mute": silent})
    document = {"pipeline": pipeline, "alerts": found, "mutes": book.mutes}
    return Answer(document, table(["key", "severity", "partition", "title", "muted"], map(_row, found)))


def mute(pipeline: PipelineName, key: Key, until: Until = None, why: Why = None) -> Answer:
    """Silence an open alert, until it is over or until a partition; its end is told all the same."""
    from evergreen.alerts.muting import mute as silence

    done = silence(open_pipeline(pipeline), key, by=author(), until=until, why=why or "")
    return _answer(pipeline, done, f"{key} is muted {done.end}")


def unmute(pipeline: PipelineName, key: Key) -> Answer:
    """End the mute of an alert: what its receivers missed is sent with the pipeline's next task."""
    from evergreen.alerts.muting import unmute as speak

    return _answer(pipeline, speak(open_pipeline(pipeline), key, by=author()), f"{key} is muted no more")


def _answer(pipeline: str, mute: Mute, line: str) -> Answer:
    return Answer({"pipeline": pipeline, "mute": mute}, f"{pipeline}: {line}")


def _row(found: dict[str, Any]) -> list[Any]:
    alert, silent = found["alert"], found["mute"]
    said = f"{silent.end}, by {silent.by}" if silent else ""
    return [alert.key, alert.severity, alert.partition, alert.title, said]
