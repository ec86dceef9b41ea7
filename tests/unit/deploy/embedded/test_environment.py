from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path

import pytest

from deploy.embedded import environment
from deploy.embedded.home import Home, Ports
from deploy.embedded.secrets import keep
from evergreen.connections import from_environment
from evergreen.environment import parse


@pytest.fixture
def home(tmp_path: Path) -> Home:
    found = Home(tmp_path / "a folder's name")
    found.create()
    return found


@pytest.fixture
def found(home: Home) -> dict[str, str]:
    return environment.variables(home, Ports(ui=1001, postgres=1002, s3=1003, weather=1004), keep(home))


def test_the_file_says_the_same_to_a_shell_the_library_and_the_stack(
    home: Home, found: dict[str, str]
) -> None:
    environment.write(home, found)
    assert stat.S_IMODE(home.env_file.stat().st_mode) == 0o600
    assert environment.read(home) == found
    assert parse(home.env_file) == found
    script = 'set -a; . "$1"; python3 -c "import json, os; print(json.dumps(dict(os.environ)))"'
    shell = subprocess.run(
        ["/bin/sh", "-c", script, "sh", str(home.env_file)],
        env={"PATH": "/usr/bin:/bin:/usr/local/bin"},
        capture_output=True,
        check=True,
        text=True,
    )
    sourced = json.loads(shell.stdout)
    assert {name: sourced[name] for name in found} == found


def test_the_library_finds_its_connections(
    home: Home, found: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in found.items():
        if name.startswith("AIRFLOW_CONN_"):
            monkeypatch.setenv(name, value)
    secrets = keep(home)
    database, api = from_environment("rentals_db"), from_environment("weather_api")
    assert (database.host, database.port, database.schema) == ("127.0.0.1", 1002, "rentals")
    assert database.password == secrets.postgres_password
    assert (api.host, api.password) == ("http://127.0.0.1:1004", secrets.weather_api_key)
    assert api.extra == {"api_key_header": "X-API-Key"}


def test_everything_stays_on_this_machine(found: dict[str, str]) -> None:
    addresses = {
        name: value for name, value in found.items() if "://" in value and not value.startswith("s3:")
    }
    assert len(addresses) >= 5
    assert all("127.0.0.1" in value for value in addresses.values()), addresses
    assert found["GX_ANALYTICS_ENABLED"] == "false"


def test_settings_for_another_airflow_or_store_do_not_get_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql://production/airflow")
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("LANG", "C.UTF-8")
    programs = environment.for_programs({"AWS_REGION": "us-east-1"})
    assert "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" not in programs
    assert "AWS_PROFILE" not in programs
    assert (programs["AWS_REGION"], programs["LANG"]) == ("us-east-1", "C.UTF-8")


def test_a_folder_of_pipelines_is_passed_on_as_an_absolute_path(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVERGREEN_PIPELINES", "mine")
    assert environment.variables(home, Ports(), keep(home))["EVERGREEN_PIPELINES"] == str(
        Path("mine").absolute()
    )


def test_no_file_no_variables(tmp_path: Path) -> None:
    assert environment.read(Home(tmp_path)) == {}


def test_where_airflow_sends_its_metrics_is_the_callers_choice(
    home: Home, found: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found["AIRFLOW__METRICS__OTEL_ON"] == "False"
    monkeypatch.setenv("AIRFLOW__METRICS__OTEL_ON", "True")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    ports = Ports(ui=1001, postgres=1002, s3=1003, weather=1004)
    chosen = environment.for_programs(environment.variables(home, ports, keep(home)))
    assert chosen["AIRFLOW__METRICS__OTEL_ON"] == "True"
    assert chosen["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:4318"
