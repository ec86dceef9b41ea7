"""`evergreen status`: the state of all pipelines on one screen, and of one in more detail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evergreen.cli.command import Answer, open_pipeline, optional_pipeline, register, table
from evergreen.cli.tables import unbroken
from evergreen.numbers import number, percent

if TYPE_CHECKING:
    from rich.console import RenderableType

    from evergreen.status.summary import Night, Status

OnePipeline = Annotated[str | None, optional_pipeline("one, in more detail; default: all of them")]


def add_to(app: typer.Typer) -> None:
    """Add the command to the app."""
    register(app, "status", "status", "status bike_demand", "status --json")(status)


def status(pipeline: OnePipeline = None) -> Answer:
    """Show how pipelines do: champion, error, newest partition, last decision, alerts and next night.

    The error is that of the training's metric, pooled over the last nights with labels; `promised` is what it
    was when the champion was trained.
    """
    from evergreen.front_door.opened import pipelines
    from evergreen.status.read import status_of, statuses

    moment = datetime.now(UTC)
    if pipeline is not None:
        found = _counted(status_of(open_pipeline(pipeline), moment))
        return Answer({"pipelines": [found]}, _group(_one(found)))
    all_found = [*map(_counted, statuses(pipelines(), open_pipeline, moment))]
    return Answer({"pipelines": all_found}, _group(_all(all_found)))


def _counted(one: Status) -> Status:
    """The state with the number of its versions, which takes a listing of all."""
    return one if one.problem else replace(one, versions=len(open_pipeline(one.pipeline).registry.stored()))


def _group(parts: Iterator[RenderableType]) -> RenderableType:
    from rich.console import Group

    return Group(*parts)


def _all(found: Sequence[Status]) -> Iterator[RenderableType]:
    columns = ["pipeline", "champion", "age", "error", "promised", "newest", "set aside", "alerts", "next"]
    yield table(columns, (_row(one) for one in found if one.problem is None))
    for one in found:
        for line in _lines(one):
            yield unbroken(f"{one.pipeline}: {line}")


def _row(one: Status) -> Sequence[Any]:
    from evergreen.registry.ids import as_of_version

    return (
        one.pipeline,
        # As a version may be named by the beginning of its id, this is enough to copy.
        as_of_version(one.champion) if one.champion else "none",
        one.age,
        None if one.error is None else number(one.error),
        None if one.promised is None else number(one.promised),
        one.newest or "none",
        None if one.quarantined is None else percent(one.quarantined),
        len(one.alerts) or "",
        _tick(one),
    )


def _lines(one: Status) -> Iterator[str]:
    """What stands in sentences: why the state is not known, alerts, the last decision, what to do."""
    if one.problem:
        yield one.problem
    for alert in one.alerts:
        yield f"[{alert.severity}] {alert.title}"
    if one.last:
        yield f"{one.last.partition}: {one.last.reason}"
    if one.to_do:
        yield one.to_do


def _one(one: Status) -> Iterator[RenderableType]:
    said = [
        ("champion", one.champion or "none"),
        ("canary", f"{one.canary.version}, {percent(one.canary.share)} of the keys" if one.canary else None),
        ("age", None if one.age is None else f"{one.age:,} partitions since its training"),
        (one.metric, _measured(one)),
        ("published", f"{one.partitions:,} partitions, the newest {one.newest}" if one.newest else "nothing"),
        ("set aside", None if one.quarantined is None else f"{percent(one.quarantined)} of the newest"),
        ("versions", None if one.versions is None else f"{one.versions:,}"),
        ("undecided", ", ".join(one.undecided) or None),
        ("next night", _tick(one)),
    ]
    for name, text in said:
        if text is not None:
            yield unbroken(f"{name or '':<12}{text}")
    for alert in one.alerts:
        yield unbroken(f"{'alert':<12}[{alert.severity}] {alert.title}: {alert.text}")
    if one.nights:
        yield table(
            ["night", one.metric or "error", "pooled", "promised", "drifted", "decision"],
            (_night(night) for night in one.nights),
        )
    if one.to_do:
        yield unbroken(one.to_do)


def _night(night: Night) -> Sequence[Any]:
    return (
        night.partition,
        *(number(value) for value in (night.error, night.pooled, night.promised)),
        percent(night.drifted),
        night.reason,
    )


def _measured(one: Status) -> str | None:
    if one.error is None:
        return None
    return f"{number(one.error)} where {number(one.promised)} was promised, as of {one.measured}"


def _tick(one: Status) -> str | None:
    return f"{one.next_at.astimezone(UTC):%Y-%m-%d %H:%MZ}" if one.next_at else None
