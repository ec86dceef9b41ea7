"""The golden check in a clean interpreter, which has nothing but the stored files."""

from __future__ import annotations

import json
import logging
import os

from evergreen.errors import IntegrityError
from evergreen.interpreter import NoAnswerError, run_clean
from evergreen.pipeline import Pipeline
from evergreen.registry.signature import Keys
from evergreen.scoring.checked_model import CheckedModel, load_checked_model

_log = logging.getLogger(__name__)


def check_afresh(pipeline: Pipeline, version: str) -> None:
    """Load a stored version in a clean interpreter, and raise unless it gives its golden predictions there.

    Raises what `load_checked_model` raises there, and `IntegrityError` if that interpreter gives no answer.
    """
    _log.info("%s: %s predicts its golden sample in a process of its own", pipeline.name, version)
    try:
        run_clean(check_stored, pipeline.name, version, environment=environment_of(pipeline))
    except NoAnswerError as died:
        raise IntegrityError(
            f"{pipeline.name}: version {version} could not be checked in a separate process, which {died}: "
            "it is not used: fix that, and try again"
        ) from died


def load_checked_afresh(pipeline: Pipeline, version: str) -> CheckedModel:
    """The version's model, once it has given its golden predictions in a clean interpreter.

    This process only loads it, which takes a fifth of the time. Raises as `check_afresh` does.
    """
    return load_checked_model(
        pipeline, version, lambda spec, registry, name, model: check_afresh(pipeline, name)
    )


def check_stored(name: str, version: str) -> None:
    """Load a version of the pipeline that the environment's variables lead to, and check its predictions."""
    load_checked_model(Pipeline.open(name), version)


def environment_of(pipeline: Pipeline) -> dict[str, str]:
    """This process's variables, and those that name the same pipeline on the same storage.

    Within Airflow, credentials and keys may come from its connections, which another process cannot look up:
    those that are needed to read and to verify are passed on here.
    """
    credentials = pipeline.storage.credentials
    variables = {
        "EVERGREEN_PIPELINES": str(pipeline.spec.folder.absolute().parent),
        "EVERGREEN_STORAGE": pipeline.storage.uri(),
        "AWS_REGION": credentials.region,
        "AWS_ENDPOINT_URL": credentials.endpoint_url,
        "AWS_ENDPOINT_URL_S3": credentials.endpoint_url,
    }
    if credentials.access_key:
        variables |= {
            "AWS_ACCESS_KEY_ID": credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
            "AWS_SESSION_TOKEN": credentials.session_token,
        }
    if (conn_id := pipeline.spec.models.signing) is not None:
        connection = pipeline.connect(conn_id)
        public = b"".join(Keys.of(connection).public).decode()
        variables[f"AIRFLOW_CONN_{conn_id.upper()}"] = json.dumps(
            {"conn_type": connection.conn_type, "extra": {"public_key": public}}
        )
    inherited = {name: value for name, value in os.environ.items() if name not in variables}
    return inherited | {name: value for name, value in variables.items() if value}
