"""The golden check in a new process, which has nothing but the stored files.

`python -m evergreen.scoring.afresh PIPELINE VERSION` runs it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evergreen import errors
from evergreen.errors import EvergreenError, IntegrityError, one_line
from evergreen.pipeline import Pipeline
from evergreen.registry.signature import Keys
from evergreen.scoring.checked_model import load_checked_model

_PROGRAM = "evergreen.scoring.afresh"
_INCLUDE = Path(__file__).resolve().parents[2]


def check_afresh(pipeline: Pipeline, version: str) -> None:
    """Load a stored version in a new process, and raise unless it gives its golden predictions there.

    Raises what `load_checked_model` raises there, and `IntegrityError` if that process gives no answer.
    """
    done = subprocess.run(  # noqa: S603 - this very interpreter
        [sys.executable, "-P", "-m", _PROGRAM, pipeline.name, version],
        env=_environment(pipeline),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    answer = _answer(done.stdout)
    if answer == {"kept": version}:
        return
    if "error" in answer:
        kind = getattr(errors, str(answer["error"]), IntegrityError)
        raise kind(answer["message"])
    last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    raise IntegrityError(
        f"{pipeline.name}: version {version} could not be checked in a separate process, which ended with "
        f"code {done.returncode} ({one_line(last)}): it is not promoted: fix that, and run the stage again"
    )


def main(arguments: Sequence[str]) -> int:
    """Check the pipeline's version that the arguments name, and answer with a line of JSON."""
    name, version = arguments
    try:
        load_checked_model(Pipeline.open(name), version)
        answer = {"kept": version}
    except EvergreenError as error:
        answer = {"error": type(error).__name__, "message": str(error)}
    sys.stdout.write(f"\n{json.dumps(answer)}\n")
    return int("error" in answer)


def _environment(pipeline: Pipeline) -> dict[str, str]:
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
        "PYTHONPATH": os.pathsep.join(filter(None, [str(_INCLUDE), os.environ.get("PYTHONPATH")])),
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


def _answer(output: str) -> dict[str, Any]:
    try:
        answer = json.loads(output.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return {}
    return answer if isinstance(answer, dict) else {}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
