"""What `make env` writes for docker-compose.yaml."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import pytest

from deploy.compose import env
from deploy.compose.env import demo_connections, fill, free_port
from tests.conftest import ROOT

EXAMPLE = (ROOT / ".env.example").read_text()


def settings(text: str) -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))


def test_everything_is_filled_in():
    made = settings(fill(EXAMPLE, demo=False, free=lambda port: port + 7))
    assert [name for name, value in made.items() if not value] == []
    assert made["AIRFLOW_PORT"] == "8087"
    assert made["EVERGREEN_STORAGE"] == settings(EXAMPLE)["EVERGREEN_STORAGE"]
    again = settings(fill(EXAMPLE, demo=False, free=lambda port: port))
    assert all(made[name] != again[name] for name, value in settings(EXAMPLE).items() if not value)


def test_the_demo_points_at_its_own_sources_by_its_own_password():
    assert settings(fill(EXAMPLE, demo=True, free=lambda port: port))["COMPOSE_PROFILES"] == "demo"
    made = settings(demo_connections("its own"))
    for name, host in {"RENTALS_DB": "demo-db", "WEATHER_API": "http://demo:8200"}.items():
        connection = json.loads(made[f"AIRFLOW_CONN_{name}"].strip("'"))
        assert (connection["host"], connection["password"]) == (host, "its own")


def test_what_is_there_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    for name in (".env.example", "connections.env.example"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    (tmp_path / "connections.env").write_text("AIRFLOW_CONN_SHOP='{}'\n")
    monkeypatch.setattr(env, "REPOSITORY", tmp_path)
    assert env.main([]) == 0
    assert (tmp_path / "connections.env").read_text() == "AIRFLOW_CONN_SHOP='{}'\n"
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    written = (tmp_path / ".env").read_text()
    env.main(["demo"])
    assert (tmp_path / ".env").read_text() == written


def test_a_port_that_is_taken_is_passed_over():
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        assert free_port(taken) > taken
