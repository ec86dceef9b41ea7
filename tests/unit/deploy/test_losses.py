"""What is lost is waited for in one way: in the embedded stack, in compose and in Kubernetes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.embedded import environment
from deploy.embedded.executor import Executor
from deploy.embedded.home import Home, Ports
from deploy.embedded.secrets import keep
from tests.conftest import ROOT

# By section of Airflow's configuration; those of the first table are a task's own, and a worker has them.
OF_A_TASK = {
    "celery_broker_transport_options": ("visibility_timeout",),
    "workers": ("execution_api_timeout",),
}
OF_CONTROL = {
    "celery": ("operation_timeout", "task_publish_max_retries", "extra_celery_config"),
    "execution_api": ("jwt_expiration_time",),
    "scheduler": (
        "max_dagruns_per_loop_to_schedule",
        "orphaned_tasks_check_interval",
        "task_instance_heartbeat_timeout",
        "task_instance_heartbeat_timeout_detection_interval",
    ),
}


def pairs(table: dict[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    return [(section, name) for section, names in table.items() for name in names]


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    home = Home(Path(tmp_path_factory.mktemp("home")))
    home.create()
    return environment.variables(home, Ports(redis=1006), keep(home), Executor(2))


@pytest.mark.parametrize(("section", "name"), pairs(OF_A_TASK) + pairs(OF_CONTROL))
def test_it_is_the_same_in_each(embedded: dict[str, str], section: str, name: str) -> None:
    variable = f"AIRFLOW__{section}__{name}".upper()
    control = read("docker-compose.yaml")["x-control-environment"]
    kubernetes = read("deploy/kubernetes/values.yaml")["config"]
    assert control[variable] == embedded[variable] == str(kubernetes[section][name])


@pytest.mark.parametrize(("section", "name"), pairs(OF_A_TASK))
def test_a_worker_of_compose_has_what_is_a_task_s_own(
    embedded: dict[str, str], section: str, name: str
) -> None:
    variable = f"AIRFLOW__{section}__{name}".upper()
    for file in ("docker-compose.yaml", "deploy/worker/compose.yaml"):
        assert read(file)["services"]["worker"]["environment"][variable] == embedded[variable]
