"""`evergreen models canary`: a version answers a share of the requests beside the champion."""

from __future__ import annotations

from typing import Annotated

import typer

from evergreen.actions.action import by_hand
from evergreen.cli.command import Answer, PipelineName, Why, open_pipeline
from evergreen.cli.export import Version

Portion = Annotated[
    str | None, typer.Option("--share", metavar="SHARE", help="the share of the keys, such as 5%; 0% ends it")
]
End = Annotated[bool, typer.Option("--end", help="end it, as --share 0% does")]


def canary(
    pipeline: PipelineName, version: Version, share: Portion = None, end: End = False, why: Why = None
) -> Answer:
    """Let servers answer a stable share of the keys from a version; the champion answers the rest.

    It ends with the next promotion or rollback.
    """
    from evergreen.sinks.mlflow.follow import tell_mlflow_or_warn

    portion = _portion(share, end)
    opened = open_pipeline(pipeline)
    version = opened.registry.version_by(version)
    if portion:
        from evergreen.scoring.checked_model import load_checked_model

        load_checked_model(opened, version)
    event = opened.registry.canary(version, portion, by_hand(why))
    tell_mlflow_or_warn(opened)
    champion = opened.registry.champion()
    line = f"{pipeline}: {version} answers {100 * portion:.6g}% of the keys, {champion} the rest"
    if not portion:
        line = f"{pipeline}: {version} is no canary any more, {champion} answers all"
    return Answer({"pipeline": pipeline, "champion": champion, "event": event}, line)


def _portion(share: str | None, end: bool) -> float:
    from pydantic import TypeAdapter, ValidationError

    from evergreen.units import Share

    if end == (share is not None):
        raise typer.BadParameter("say either --share, such as --share 5%, or --end")
    try:
        return float(TypeAdapter(Share).validate_python("0%" if share is None else share))
    except ValidationError as error:
        raise typer.BadParameter(error.errors()[0]["msg"].removeprefix("Value error, ")) from None
