"""`evergreen schema`: what a `pipeline.yaml` or `expectations.yaml` may say, for editors."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from evergreen.cli.command import Answer, register


class File(StrEnum):
    """The files of a pipeline that have a schema."""

    PIPELINE = "pipeline"
    EXPECTATIONS = "expectations"


Of = Annotated[File, typer.Argument(metavar="[FILE]", help="pipeline (the default) or expectations")]


def add_to(app: typer.Typer) -> None:
    """Add the command to the app."""
    register(app, "schema", "schema", "schema expectations")(schema)


def schema(of: Of = File.PIPELINE) -> Answer:
    """Print the JSON Schema of a pipeline's files, by which editors complete and check them."""
    from evergreen.spec.schema import pipeline_schema
    from evergreen.validation.schema import suite_schema

    document = suite_schema() if of is File.EXPECTATIONS else pipeline_schema()
    return Answer(document, json.dumps(document, indent=2))
