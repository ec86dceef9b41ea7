"""`evergreen models export`: a version's model for other servers."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from evergreen.cli import complete
from evergreen.cli.command import Answer, PipelineName, open_pipeline


class To(StrEnum):
    """What a model may be exported to."""

    onnx = "onnx"
    treelite = "treelite"
    mlflow = "mlflow"


Version = Annotated[
    str,
    typer.Argument(
        metavar="VERSION",
        help="a version, as `models list` shows it, or the beginning of one",
        autocompletion=complete.versions,
    ),
]
Into = Annotated[Path, typer.Argument(metavar="DIR", help="a folder that is absent, or an earlier export")]
Format = Annotated[To, typer.Option("--to", help="the format")]


def export_version(pipeline: PipelineName, version: Version, folder: Into, to: Format) -> Answer:
    """Write one version's model for other servers, once it gives its golden predictions in that format."""
    from evergreen.export.export import export

    opened = open_pipeline(pipeline)
    version = opened.registry.version_by(version)
    exported = export(opened, version, to.value, folder)
    shown = (
        f"{folder}: {version} as {to.value}: {exported.rows} golden rows are predicted as by the model, to "
        f"{exported.largest_difference:.2g} of the largest ({exported.tolerance:g} is tolerated)\n"
        f"not in it: {', '.join(exported.lost)}"
    )
    return Answer({**asdict(exported), "folder": str(folder)}, shown)
