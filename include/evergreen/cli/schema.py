"""`evergreen schema`: what a `pipeline.yaml` may say, for editors."""

from __future__ import annotations

import json

import typer

from evergreen.cli.command import Answer, register


def add_to(app: typer.Typer) -> None:
    """Add the command to the app."""
    register(app, "schema", "schema")(schema)


def schema() -> Answer:
    """Print the JSON Schema of `pipeline.yaml`, by which editors complete and check it."""
    from evergreen.spec.schema import pipeline_schema

    document = pipeline_schema()
    return Answer(document, json.dumps(document, indent=2))
