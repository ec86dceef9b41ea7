"""The demo's weather API, and the feed that keeps simulated rentals up to yesterday, as services."""

from __future__ import annotations

import sys

from deploy.embedded.environment import for_programs
from deploy.embedded.home import HOST, REPOSITORY, Home, Ports
from deploy.embedded.processes import Service
from deploy.embedded.secrets import Secrets


def services(home: Home, ports: Ports, secrets: Secrets) -> list[Service]:
    """The weather API and the feed of the source database."""
    environment = for_programs(
        {
            "PYTHONPATH": str(REPOSITORY),
            "EVERGREEN_HOME": str(home.root),
            "WEATHER_API_KEY": secrets.weather_api_key,
            "OPENBLAS_NUM_THREADS": "1",
        }
    )
    server = ["uvicorn", "deploy.demo_data.weather_api:app_from_environment", "--factory"]
    return [
        Service(
            name="weather",
            command=[sys.executable, "-m", *server, "--host", HOST, "--port", str(ports.weather)],
            environment=environment,
            port=ports.weather,
            grace=5.0,
        ),
        Service(
            name="source-feed",
            command=[sys.executable, "-m", "deploy.embedded", "feed"],
            environment=environment,
            grace=5.0,
        ),
    ]
