"""The stack of docker-compose.yaml, booted for real: `make test-containers`."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from deploy.compose.env import demo_connections, fill
from deploy.embedded.airflow_api import AirflowApi
from tests.conftest import ROOT
from tests.containers.engine import HOME, compose, engine, run
from tests.containers.images import build, provide
from tests.containers.project import Project

FILE = ROOT / "docker-compose.yaml"
SERVICES = yaml.safe_load(FILE.read_text())["services"]
OURS = {"evergreen-serving": ("--target=serving",), "evergreen-demo": ("--target=demo",), "evergreen": ()}
HOW_TO = ROOT / "docs" / "how-to" / "second-host.md"
GATEWAY = "evergreen.test"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They take minutes and an engine, so that they run where they are asked for."""
    if "EVERGREEN_CONTAINERS" not in os.environ:
        skip = pytest.mark.skip(reason="containers are booted for minutes: make test-containers")
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(skip)


@pytest.fixture(scope="session")
def images() -> Iterator[None]:
    """An engine that has all images."""
    with engine():
        arguments = dict(re.findall(r"^ARG (\w+)=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
        airflow = f"apache/airflow:slim-{arguments['AIRFLOW_VERSION']}-{arguments['PYTHON_TAG']}"
        named = {settings["image"] for settings in SERVICES.values()}
        ours = {image for image in named if image.partition(":")[0] in OURS}
        for image in (arguments["SERVING_IMAGE"], airflow, *sorted(named - ours)):
            provide(image)
        for name, options in OURS.items():
            (tag,) = (image for image in ours if image.partition(":")[0] == name)
            build(tag, ROOT, *options)
        yield


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder made as the how-to says, with `gateway.pem` and `authorities.pem`."""
    folder = tmp_path_factory.mktemp("certificate")
    (commands,) = re.findall(r"```bash\n( +openssl .*?)```", HOW_TO.read_text(), re.DOTALL)
    run(["bash", "-ceu", commands.replace("first.example.com", GATEWAY)], cwd=folder)
    system = Path("/etc/ssl/certs/ca-certificates.crt").read_text()
    (folder / "authorities.pem").write_text(system + (folder / "authority.pem").read_text())
    (folder / "authorities.pem").chmod(0o644)
    return folder


@pytest.fixture(scope="session")
def address(images: None) -> str:
    """The address of this machine that containers of every network reach."""
    gateway = "{{(index .IPAM.Config 0).Gateway}}"
    return run(["docker", "network", "inspect", "bridge", "--format", gateway]).strip()


@pytest.fixture(scope="session")
def control(
    images: None, certificate: Path, address: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    """The stack with the demo's sources and the gateway; its first `up` has returned."""
    text, folder = fill((ROOT / ".env.example").read_text(), demo=True), tmp_path_factory.mktemp("control")
    settings = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
    connections = folder / "connections.env"
    connections.write_text(demo_connections(settings["DEMO_PASSWORD"]))
    changes = {
        "CONNECTIONS": connections,
        "GATEWAY_ADDRESS": address,
        "GATEWAY_CERTIFICATE": certificate / "gateway.pem",
        "WORKER_SLOTS": 2,
    }
    for name, value in changes.items():
        text = re.sub(rf"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
    env_file = folder / "env"
    env_file.write_text(text)
    settings = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
    project = Project("evergreen-test", FILE, settings, env_file, compose(), ("demo", "remote"))
    try:
        project.up()
        project.wait_until_healthy()
        yield project
    finally:
        (HOME / "last.log").write_text(project.compose("logs", "--no-color"))
        project.down()


@pytest.fixture(scope="session")
def airflow(control: Project) -> AirflowApi:
    """A session of the administrator, who logs in by the password of `.env`."""
    url = f"http://127.0.0.1:{control.settings['AIRFLOW_PORT']}"
    return AirflowApi(url, control.settings["ADMIN_USERNAME"], control.settings["ADMIN_PASSWORD"])


@pytest.fixture(scope="session")
def pictures() -> Path:
    """The folder in which pictures of the UI are left, empty at first."""
    folder = HOME / "pictures"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
