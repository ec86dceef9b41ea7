"""What `make env` writes for docker-compose.yaml."""

from __future__ import annotations

import json
import re
import socket

from deploy.compose.env import fill, free_port
from tests.conftest import ROOT

EXAMPLE = (ROOT / ".env.example").read_text()
SOURCES = {"AIRFLOW_CONN_RENTALS_DB", "AIRFLOW_CONN_WEATHER_API"}


def settings(text: str) -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))


def test_everything_is_filled_in_but_the_connections_to_sources():
    made = settings(fill(EXAMPLE, demo=False, free=lambda port: port + 7))
    assert {name for name, value in made.items() if not value} == SOURCES
    assert made["AIRFLOW_PORT"] == "8087"
    assert made["EVERGREEN_STORAGE"] == settings(EXAMPLE)["EVERGREEN_STORAGE"]
    again = settings(fill(EXAMPLE, demo=False, free=lambda port: port))
    secret = [name for name, value in settings(EXAMPLE).items() if not value and name not in SOURCES]
    assert all(made[name] != again[name] for name in secret)


def test_the_demo_points_at_its_own_sources_by_its_own_password():
    made = settings(fill(EXAMPLE, demo=True, free=lambda port: port))
    assert made["COMPOSE_PROFILES"] == "demo"
    for name, host in {"RENTALS_DB": "demo-db", "WEATHER_API": "http://demo:8200"}.items():
        connection = json.loads(made[f"AIRFLOW_CONN_{name}"].strip("'"))
        assert (connection["host"], connection["password"]) == (host, made["DEMO_PASSWORD"])


def test_a_port_that_is_taken_is_passed_over():
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        assert free_port(taken) > taken
