"""The variables by which a shell, the `evergreen` command and Airflow find the running stack."""

from __future__ import annotations

import json
import os
import shlex

from deploy.embedded import airflow, postgres, s3
from deploy.embedded.executor import LOCAL, Executor
from deploy.embedded.home import HOST, Home, Ports, write_atomically
from deploy.embedded.nights import nights
from deploy.embedded.secrets import Secrets

_OURS = ("AIRFLOW", "AWS_", "EVERGREEN_", "GX_", "PYTHONPATH")
_CHOSEN = ("AIRFLOW__METRICS__", "AIRFLOW__DAG_PROCESSOR__")
"""Whose values whoever starts the stack may choose."""


def variables(home: Home, ports: Ports, secrets: Secrets, executor: Executor = LOCAL) -> dict[str, str]:
    """Everything that points at this stack: storage, connections, Airflow's settings."""
    found = {
        "EVERGREEN_HOME": str(home.root),
        "EVERGREEN_EMBEDDED": "1",  # held to this machine: see evergreen_airflow.start_up
        "EVERGREEN_STORAGE": f"s3://{s3.BUCKET}",
        "EVERGREEN_UI": airflow.url(ports),
        "EVERGREEN_NIGHTS_HELD": str(nights(home).path),
        "AWS_ENDPOINT_URL": s3.endpoint(ports),
        "AWS_ACCESS_KEY_ID": secrets.s3_access_key,
        "AWS_SECRET_ACCESS_KEY": secrets.s3_secret_key,
        "AWS_REGION": s3.REGION,
        "AWS_DEFAULT_REGION": s3.REGION,
        "AWS_ALLOW_HTTP": "true",
        "AIRFLOW_CONN_RENTALS_DB": json.dumps(
            {
                "conn_type": "postgres",
                "host": HOST,
                "port": ports.postgres,
                "login": postgres.LOGIN,
                "password": secrets.postgres_password,
                "schema": postgres.SOURCE_DATABASE,
            }
        ),
        "AIRFLOW_CONN_WEATHER_API": json.dumps(
            {
                "conn_type": "http",
                "host": weather_url(ports),
                "password": secrets.weather_api_key,
                "extra": {"api_key_header": "X-API-Key"},
            }
        ),
        **airflow.settings(home, ports, secrets, executor),
    }
    found |= {name: value for name, value in os.environ.items() if name.startswith(_CHOSEN)}
    if pipelines := os.environ.get("EVERGREEN_PIPELINES"):
        found["EVERGREEN_PIPELINES"] = os.path.abspath(pipelines)
    return found


def weather_url(ports: Ports) -> str:
    """The address of the demo's weather API."""
    return f"http://{HOST}:{ports.weather}"


def for_programs(found: dict[str, str]) -> dict[str, str]:
    """The environment of a program of the stack: the caller's, cleared of settings for other stacks."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return {**inherited, "PYTHONUNBUFFERED": "1", "TZ": "UTC", **found}


def write(home: Home, found: dict[str, str]) -> None:
    """Write `.evergreen/env`: `NAME=value` lines, quoted for a shell, readable by the owner only."""
    lines = [f"{name}={shlex.quote(value)}\n" for name, value in sorted(found.items())]
    write_atomically(home.env_file, "".join(lines))


def read(home: Home) -> dict[str, str]:
    """What `.evergreen/env` holds; nothing if it is not there."""
    if not home.env_file.exists():
        return {}
    pairs = (line.split("=", 1) for line in home.env_file.read_text().splitlines() if "=" in line)
    return {name: "".join(shlex.split(value)) for name, value in pairs}
