"""What compose has started: locked, healthy, made once."""

from __future__ import annotations

import json

import pytest

from tests.containers.engine import run, say
from tests.containers.project import Project

AIRFLOW = ("api-server", "scheduler", "dag-processor", "triggerer", "worker", "worker-training")


def shell(image: str, command: str) -> str:
    return run(["docker", "run", "--rm", "--entrypoint", "sh", f"{image}:0.1.0", "-c", command])


@pytest.mark.parametrize("service", [*AIRFLOW, "serving"])
def test_no_service_can_change_what_it_runs(control: Project, service: str):
    assert control.execute(service, "id", "-u").stdout.strip() == "50000"
    for attempt in (
        "mv /opt/evergreen/include /opt/evergreen/include2",
        "touch /opt/evergreen/include/evergreen/__init__.py",
        "echo x >> /opt/evergreen/include/evergreen/cli/__init__.py",
        "touch $(python -c 'import pandas; print(pandas.__file__)')",
    ):
        assert control.execute(service, "sh", "-c", attempt).returncode, attempt


@pytest.mark.parametrize(("image", "folder"), [("evergreen", "dags"), ("evergreen-serving", "include")])
def test_the_image_alone_lets_no_user_change_its_code(images: None, image: str, folder: str):
    attempt = (
        f"mv /opt/evergreen/{folder} /opt/evergreen/x || echo kept; test -w /opt/evergreen || echo locked"
    )
    assert shell(image, attempt).split() == ["kept", "locked"]


@pytest.mark.parametrize("image", ["evergreen", "evergreen-serving", "evergreen-demo"])
def test_an_image_holds_no_compiler_and_says_what_it_is(images: None, image: str):
    found = "command -v gcc cc c++ make ld || echo none"
    assert (
        run(["docker", "run", "--rm", "--entrypoint", "sh", f"{image}:0.1.0", "-c", found]).strip() == "none"
    )
    (told,) = json.loads(run(["docker", "image", "inspect", f"{image}:0.1.0"]))
    assert told["Config"]["Labels"]["org.opencontainers.image.version"] == "0.1.0"
    assert told["Config"]["User"] in {"airflow", "evergreen"}
    say(f"{image}: {told['Size'] / 1e6:,.0f} MB")


def test_another_up_migrates_nothing(control: Project):
    control.up()
    control.wait_until_healthy(120)
    (container,) = control.containers("init", everything=True)
    (told,) = json.loads(run(["docker", "inspect", container]))
    say(f"the second init: {told['State']['StartedAt']} to {told['State']['FinishedAt']}")
    logged = run(["docker", "logs", container])
    assert logged.count("Pool training created") == 1
