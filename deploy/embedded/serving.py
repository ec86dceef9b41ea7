"""The server of predictions as a service: `evergreen serve` for all pipelines."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.embedded.home import HOST, Ports
from deploy.embedded.processes import Service

NAME = "serving"


def url(ports: Ports) -> str:
    """The address of the server."""
    return f"http://{HOST}:{ports.serving}"


def service(environment: Mapping[str, str], ports: Ports) -> Service:
    """The server, which answers for a pipeline as soon as that has a champion.

    It gets storage and connections, and none of the keys to Airflow that are in `environment`.
    """
    command = Path(sys.executable).parent / "evergreen"
    return Service(
        name=NAME,
        command=[str(command), "serve", "--host", HOST, "--port", str(ports.serving)],
        environment={name: value for name, value in environment.items() if not name.startswith("AIRFLOW__")},
        port=ports.serving,
    )
