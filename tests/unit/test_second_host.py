"""A worker on another host, and the gateway that it calls: what the files say, as text."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.conftest import ROOT

FOLDER = ROOT / "deploy" / "worker"
TEXT = (FOLDER / "compose.yaml").read_text()
WORKER = yaml.safe_load(TEXT)["services"]["worker"]
HERE = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
EXAMPLE = dict(re.findall(r"^(\w+)=(.*)$", (FOLDER / ".env.example").read_text(), re.MULTILINE))
GATEWAY = (FOLDER / "haproxy.cfg").read_text()

# What differs on the way to the other services, and what only the first host says.
ADDRESSES = {
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
    "AIRFLOW__CELERY__BROKER_URL",
    "AIRFLOW__CELERY__RESULT_BACKEND",
    "AIRFLOW__CELERY__WORKER_CONCURRENCY",
}


def test_the_worker_has_the_settings_of_those_beside_the_api_server():
    first = HERE["services"]["worker"]["environment"]
    shared = {name for name in first if not name.startswith("AIRFLOW_CONN_")} - ADDRESSES
    assert {name: WORKER["environment"].get(name) for name in shared} == {
        name: first[name] for name in shared
    }
    for key in ("read_only", "tmpfs", "security_opt", "stop_grace_period", "image"):
        assert WORKER[key] == HERE["services"]["worker"][key]
    assert WORKER["healthcheck"] == HERE["services"]["worker"]["healthcheck"]


def test_the_worker_listens_to_nobody_and_holds_no_key_to_airflow_itself():
    assert "ports" not in WORKER
    control = set(HERE["x-control-environment"]) - set(HERE["x-common-environment"])
    assert "AIRFLOW__API_AUTH__JWT_SECRET" in control
    assert not control & set(WORKER["environment"])


@pytest.mark.parametrize("name", sorted(ADDRESSES - {"AIRFLOW__CELERY__WORKER_CONCURRENCY"}))
def test_the_worker_calls_by_tls_and_believes_its_authorities_alone(name):
    address = WORKER["environment"][name]
    assert re.match(r"https://|rediss://", address)
    if address.startswith("rediss"):
        assert address.endswith("?ssl_cert_reqs=required&ssl_ca_certs=/run/secrets/authorities")
    assert WORKER["environment"]["SSL_CERT_FILE"] == "/run/secrets/authorities"


def test_settings_are_those_of_the_example():
    used = set(re.findall(r"(?<!\$)\$\{(\w+)", TEXT))
    assert used == set(EXAMPLE)
    needed = set(re.findall(r"\$\{(\w+):\?set \1 in \.env\}", TEXT))
    assert {name for name, value in EXAMPLE.items() if not value} <= needed


def test_the_gateway_opens_the_three_ports_that_compose_publishes_and_each_by_tls():
    binds = re.findall(r"^ +bind (\S*:)(\d+)(.*)$", GATEWAY, re.MULTILINE)
    outside = {port: options for address, port, options in binds if address == ":"}
    assert {address for address, _, _ in binds} == {":", "127.0.0.1:"}
    published = [port.rpartition(":")[2] for port in HERE["services"]["gateway"]["ports"]]
    assert sorted(outside) == sorted(published)
    assert all(options.strip() == "ssl crt /run/secrets/gateway" for options in outside.values())


def test_the_gateway_leads_to_what_a_task_needs_and_of_the_api_server_to_the_part_for_tasks():
    servers = re.findall(r"^ +server \S+ (\S+):\d+$", GATEWAY, re.MULTILINE)
    assert sorted(servers) == ["api-server", "redis", "seaweedfs"]
    assert "http-request deny deny_status 404 unless { path_beg /execution/ }" in GATEWAY
