"""A worker on another host: a project and a network of its own, which has the gateway's address alone."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from deploy.embedded.airflow_api import AirflowApi
from tests.conftest import ROOT
from tests.containers.conftest import GATEWAY
from tests.containers.engine import run, say
from tests.containers.project import Project
from tests.e2e.waiting import wait_for

FOLDER = ROOT / "deploy" / "worker"
OPEN = {8443, 6380, 8333}
SHUT = (22, 5432, 6379, 8080, 8100, 8200, 8404, 8793, 8888, 9333)
KNOCK = """
import json, socket, sys
found = []
for host, port in json.loads(sys.argv[1]):
    try:
        socket.create_connection((host, port), 2).close()
        found.append([host, port])
    except OSError:
        pass
print(json.dumps(found))
"""
ASK = """
import socket, ssl, sys, urllib.error, urllib.request
def status(path):
    try:
        return urllib.request.urlopen(path, timeout=60).status
    except urllib.error.HTTPError as error:
        return error.code
host = sys.argv[1]
print(status(f"https://{host}:8443/execution/health"), status(f"https://{host}:8443/api/v2/version"),
      status(f"https://{host}:8443/auth/login"), status(f"https://{host}:8333/evergreen/"))
with ssl.create_default_context().wrap_socket(
    socket.create_connection((host, 6380), 60), server_hostname=host
) as redis:
    redis.sendall(b"PING\\r\\n")
    print(redis.recv(100).decode().split()[0])
strict = ssl.create_default_context(cafile="/etc/ssl/certs/ca-certificates.crt")
try:
    strict.wrap_socket(socket.create_connection((host, 8443), 60), server_hostname=host)
except ssl.SSLCertVerificationError:
    print("unknown authority")
"""


@pytest.fixture(scope="module")
def second(
    control: Project, certificate: Path, address: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    """The other host's worker, which alone takes tasks, of both queues."""
    folder = tmp_path_factory.mktemp("second")
    shutil.copy(FOLDER / "compose.yaml", folder)
    settings = {
        name: control.settings.get(name, value)
        for name, value in re.findall(r"^(\w+)=(.*)$", (FOLDER / ".env.example").read_text(), re.MULTILINE)
    } | {
        "GATEWAY": GATEWAY,
        "AWS_ENDPOINT_URL": f"https://{GATEWAY}:8333",
        "AUTHORITIES": str(certificate / "authorities.pem"),
        "WORKER_QUEUES": "default,training",
    }
    env_file = folder / ".env"
    env_file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    # In the place of DNS.
    text = (folder / "compose.yaml").read_text()
    hosts = f'    extra_hosts: ["{GATEWAY}:{address}"]\n    read_only: true\n'
    (folder / "compose.yaml").write_text(text.replace("    read_only: true\n", hosts))
    project = Project("evergreen-second", folder / "compose.yaml", settings, env_file, control.command)
    control.compose("stop", "worker", "worker-training")
    try:
        project.up()
        project.wait_until_healthy(180)
        yield project
    finally:
        say(project.logs({"worker"}))
        project.down()
        control.up()


def test_nothing_but_the_gateway_can_be_reached(second: Project, control: Project, address: str):
    inside = json.loads(run(["docker", "inspect", *control.containers()]))
    hosts = [each["IPAddress"] for one in inside for each in one["NetworkSettings"]["Networks"].values()]
    ports = {*SHUT, *OPEN, int(control.settings["AIRFLOW_PORT"]), int(control.settings["SERVING_PORT"])}
    asked = [(host, port) for host in (address, *hosts) for port in ports]
    reached = json.loads(second.execute("worker", "python", "-c", KNOCK, json.dumps(asked)).stdout)
    own = {port for host, port in reached if host == address} - OPEN
    assert {(host, port) for host, port in reached if port not in own} == {(address, port) for port in OPEN}
    assert not own & {
        int(control.settings["AIRFLOW_PORT"]),
        int(control.settings["SERVING_PORT"]),
        5432,
        6379,
    }
    say(f"from the second host {len(asked)} addresses were tried, {len(reached)} answer: {sorted(OPEN)}")


def test_what_answers_asks_for_a_token_a_key_or_a_password_and_shows_its_certificate(second: Project):
    told = second.execute("worker", "python", "-c", ASK, GATEWAY)
    assert told.stdout.split("\n")[:3] == ["200 404 404 403", "-NOAUTH", "unknown authority"], told.stderr


def is_sent(lines: list[str]) -> bool:
    """Whether a log comes from the storage, and has more than where it comes from."""
    return len(lines) > 4 and any("s3://" in line and "task-logs" in line for line in lines)


def test_a_pipeline_is_ingested_and_trained_there_and_its_logs_are_read_here(
    second: Project, control: Project, airflow: AirflowApi
):
    wait_for(lambda: all(airflow.dag(f"iris_{stage}") for stage in ("ingest", "score", "train")), "the DAGs")
    for stage in ("score", "monitor", "train", "ingest"):
        airflow.unpause(f"iris_{stage}")
    airflow.trigger("iris_ingest")
    wait_for(lambda: airflow.count("iris_train", ["success"]), "iris to train on the second host", 400)
    (host,) = second.containers("worker")
    for dag_id in ("iris_ingest", "iris_train"):
        run_of = next(each for each in airflow.runs(dag_id) if each.state == "success")
        tasks = [each for each in airflow.task_instances(run_of) if each["hostname"]]
        assert tasks
        assert {each["hostname"] for each in tasks} == {host}
        for each in tasks:
            # It is sent once the task has ended: a moment later than Airflow knows that it has.
            log = partial(airflow.log, run_of, each["task_id"])
            wait_for(lambda log=log: is_sent(log()), f"the log of {each['task_id']} to be sent", 60)
    left = second.execute("worker", "sh", "-c", "find /opt/airflow/logs -name 'attempt*' | wc -l").stdout
    say(f"iris was trained on the second host; logs of ended tasks left there: {left.strip()}")
    champion = control.execute("scheduler", "evergreen", "models", "list", "iris", "--json")
    assert json.loads(champion.stdout)["champion"], champion.stderr
