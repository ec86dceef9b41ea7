"""`evergreen mlflow`: what MLflow shows of a pipeline's versions."""

from __future__ import annotations

import typer

from evergreen.cli.command import Answer, PipelineName, open_pipeline, register
from evergreen.errors import EvergreenError


def add_to(app: typer.Typer) -> None:
    """Add the command to the app, below `mlflow`."""
    mlflow = typer.Typer(no_args_is_help=True, help="Versions shown in MLflow.")
    # Without a second command Typer would take the name of the only one away.
    mlflow.callback()(lambda: None)
    register(mlflow, "sync", "mlflow sync bike_demand")(sync)
    app.add_typer(mlflow, name="mlflow")


def sync(pipeline: PipelineName) -> Answer:
    """Tell MLflow all versions, and which is the champion, as every training does for what is new.

    For history from before MLflow was described, and after it was away. The same again changes nothing.
    """
    from evergreen.sinks.mlflow.follow import tell_mlflow

    told = tell_mlflow(open_pipeline(pipeline))
    said = (
        f"{pipeline}: {len(told.runs)} runs and {len(told.registered)} versions told, "
        f"{len(told.states)} states changed; the champion is {told.champion or 'none'}"
    )
    exit_code = EvergreenError.exit_code if told.problems else 0
    return Answer({"pipeline": pipeline, "told": told}, "\n".join([*told.problems, said]), exit_code)
