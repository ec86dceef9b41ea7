"""Where versions are also shown in MLflow."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from evergreen.description import Described
from evergreen.units import ConnectionId

ExperimentName = Annotated[str, Field(min_length=1, max_length=500)]


class Mlflow(Described):
    """An MLflow server that gets every version as a run and as a version of a registered model, which has the
    pipeline's name.
    """

    conn_id: ConnectionId
    """The connection with its address and credentials. Example: mlflow"""
    experiment: ExperimentName | None = None
    """The experiment of the runs; default: the pipeline's name. Example: demand"""
