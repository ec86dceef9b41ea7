"""The official Airflow chart with our values, rendered by Helm: `make test-kubernetes`.

Helm and the schemas are in an environment of their own, which the other tests do without.
"""

from __future__ import annotations

import configparser
import json
import os
import subprocess
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kubernetes.objects import containers, keys, pod_specs, secrets_in_the_open, unlocked

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy" / "kubernetes"
CHART = os.environ.get("EVERGREEN_CHART")
PYTHON = ROOT / ".venv-helm" / "bin" / "python"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
pytestmark = pytest.mark.skipif(
    not (CHART and PYTHON.exists()), reason="no chart, or no .venv-helm: make test-kubernetes has both"
)

DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
FERNET = "AIRFLOW__CORE__FERNET_KEY"
TOKENS = "AIRFLOW__API_AUTH__JWT_SECRET"
SESSIONS = "AIRFLOW__API__SECRET_KEY"
CONTROL = {DATABASE, FERNET, TOKENS, SESSIONS, "AIRFLOW_CONN_AIRFLOW_DB"}
SHARED = {"evergreen-storage", "evergreen-connections"}
QUEUE = {"AIRFLOW__CELERY__BROKER_URL", "AIRFLOW__CELERY__RESULT_BACKEND"}

Rendered = dict[str, Any]


def rendered(*files: str, chart: str | None = CHART, values: str = "") -> Rendered:
    """What Helm makes of the chart with values of ours."""
    assert chart is not None
    answer = subprocess.run(
        [PYTHON, Path(__file__).with_name("render.py"), chart, *(DEPLOY / file for file in files)],
        input=values,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )
    assert answer.returncode == 0, answer.stderr
    found: Rendered = json.loads(answer.stdout)
    kinds = Counter(each["kind"] for each in found["objects"])
    print(f"{found['chart']} {', '.join(files)}: {kinds.total()} objects, {dict(kinds)}")
    return found


@pytest.fixture(scope="module")
def celery() -> Rendered:
    return rendered("values.yaml")


@pytest.fixture(scope="module")
def pods() -> Rendered:
    return rendered("values.yaml", "values-kubernetes.yaml")


@pytest.fixture(scope="module", params=["celery", "pods"])
def either(request: pytest.FixtureRequest) -> Rendered:
    found: Rendered = request.getfixturevalue(request.param)
    return found


def container(found: Rendered, name: str) -> dict[str, Any]:
    return dict(containers(found["objects"]))[name]


def settings(found: Rendered) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(config(found)["airflow.cfg"])
    return parser


def with_token(found: Rendered) -> set[str]:
    """The objects whose pods hold a token of the cluster: Kubernetes gives one unless it is told not to."""
    accounts = {
        each["metadata"]["name"]: each.get("automountServiceAccountToken", True)
        for each in found["objects"]
        if each["kind"] == "ServiceAccount"
    }
    return {
        name
        for name, spec in pod_specs(found["objects"])
        if spec.get("automountServiceAccountToken", accounts[spec["serviceAccountName"]])
    }


def config(found: Rendered) -> dict[str, str]:
    (data,) = (each["data"] for each in found["objects"] if each["metadata"]["name"] == "evergreen-config")
    return dict(data)


def test_every_object_is_one_that_kubernetes_takes(either: Rendered) -> None:
    assert either["problems"] == []
    assert len(either["objects"]) > 20


def test_so_is_every_object_of_the_server() -> None:
    found = rendered(chart=str(DEPLOY / "serving.yaml"))
    assert found["problems"] == []
    assert len(found["objects"]) == 5


def test_no_secret_is_in_an_argument_or_a_config_map(either: Rendered) -> None:
    assert secrets_in_the_open(either["objects"]) == []


def test_the_chart_alone_has_what_the_checks_look_for() -> None:
    objects = rendered(values="{createUserJob: {defaultUser: {password: a-password}}}")["objects"]
    found = secrets_in_the_open(objects)
    assert {"Secret evergreen-metadata", "Secret evergreen-jwt-secret", "Secret evergreen-fernet-key"} <= set(
        found
    )
    worker = next(keys(each) for name, each in containers(objects) if name.endswith("worker: worker"))
    assert {DATABASE, FERNET, SESSIONS} <= worker
    assert any(
        "create-user" in name
        for name, each in containers(objects)
        if "a-password" in (each.get("args") or [])
    )
    assert any("worker" in name for name in unlocked(objects))


def test_an_upgrade_changes_nothing_by_itself(celery: Rendered) -> None:
    assert rendered("values.yaml")["objects"] == celery["objects"]


def test_each_program_has_the_keys_that_it_needs_and_no_worker_has_one_to_airflow(celery: Rendered) -> None:
    named = {
        name.removeprefix("Deployment evergreen-"): keys(each) for name, each in containers(celery["objects"])
    }
    found = {name: each & CONTROL for name, each in named.items() if each & CONTROL}
    programs = ("api-server", "scheduler", "dag-processor", "triggerer")
    assert found == {
        **{f"{name}: after-migrations": {DATABASE} for name in programs},
        "Job evergreen-run-airflow-migrations: run-airflow-migrations": {DATABASE},
        "api-server: api-server": {DATABASE, FERNET, TOKENS, SESSIONS},
        "scheduler: scheduler": {DATABASE, FERNET, TOKENS},
        "dag-processor: dag-processor": {DATABASE, FERNET},
        "triggerer: triggerer": {DATABASE, FERNET},
    }
    for worker in ("worker: worker", "worker-training: worker"):
        assert named[worker] == SHARED | QUEUE


def test_a_pod_of_a_task_has_no_key_to_airflow_and_no_right_in_the_cluster(pods: Rendered) -> None:
    task = container(pods, "Pod placeholder-name: base")
    assert keys(task) == SHARED
    (pod,) = (each["spec"] for each in pods["objects"] if each["kind"] == "Pod")
    (launcher,) = (
        each
        for each in pods["objects"]
        if each["kind"] == "RoleBinding" and each["metadata"]["name"].endswith("pod-launcher-rolebinding")
    )
    allowed = {each["name"] for each in launcher["subjects"]}
    assert "evergreen-airflow-scheduler" in allowed
    assert pod["serviceAccountName"] not in allowed


def test_only_programs_that_speak_to_the_cluster_have_a_token_of_it(celery: Rendered, pods: Rendered) -> None:
    assert with_token(celery) == set()
    assert with_token(pods) == {"Deployment evergreen-scheduler", "Deployment evergreen-api-server"}


def test_nothing_can_become_root_or_change_its_image_or_take_all_memory(either: Rendered) -> None:
    assert unlocked(either["objects"]) == []


def test_each_queue_has_workers_of_its_own(celery: Rendered) -> None:
    commands = {
        name: each["args"][-1].split()[-1]
        for name, each in containers(celery["objects"])
        if name.endswith(": worker")
    }
    assert commands == {
        "Deployment evergreen-worker: worker": "default",
        "Deployment evergreen-worker-training: worker": "training",
    }
    night, training = (container(celery, name)["resources"]["limits"]["memory"] for name in commands)
    assert (night, training) == ("4Gi", "12Gi")


def test_a_pod_of_a_training_is_as_large_as_a_worker_for_trainings(celery: Rendered, pods: Rendered) -> None:
    worker = container(celery, "Deployment evergreen-worker-training: worker")
    assert pods["hooked"] == {"iris_train": worker["resources"], "iris_score": None}


def test_every_program_is_asked_whether_it_lives(celery: Rendered) -> None:
    groomers = ("log-groomer", "after-migrations", "run-airflow-migrations")
    without = [
        name
        for name, each in containers(celery["objects"])
        if "livenessProbe" not in each and not name.endswith(groomers)
    ]
    assert without == []
    assert "readinessProbe" in container(celery, "Deployment evergreen-api-server: api-server")


def test_logs_are_kept_in_the_storage_and_no_volume_outlives_a_pod(either: Rendered) -> None:
    logging = settings(either)["logging"]
    assert logging["logging_config_class"] == "evergreen_airflow.task_logs.LOGGING_CONFIG"
    # With it Airflow would import the Amazon provider, which is not installed.
    assert not logging.getboolean("remote_logging")
    claims = [
        name
        for name, spec in pod_specs(either["objects"])
        for volume in spec["volumes"]
        if "persistentVolumeClaim" in volume
    ]
    assert claims == []
    assert not any(each["kind"] == "StatefulSet" for each in either["objects"])


def test_airflow_is_told_what_compose_tells_it(celery: Rendered) -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]
    told = services["scheduler"]["environment"]
    ours = settings(celery)
    shared = {
        name: str(value)
        for name, value in told.items()
        if name.startswith(("AIRFLOW__SCHEDULER__", "AIRFLOW__EXECUTION_API__", "AIRFLOW__CELERY_BROKER"))
        and name != "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK"
    }
    assert shared
    for name, value in shared.items():
        section, key = name.removeprefix("AIRFLOW__").lower().split("__")
        assert ours[section][key] == value


def test_images_are_ours_in_this_version(either: Rendered) -> None:
    images = {each["image"].rpartition(":") for _, each in containers(either["objects"])}
    assert {version for _, _, version in images} == {VERSION}
    assert len(images) == 1


def test_strangers_cannot_reach_the_programs(celery: Rendered) -> None:
    policies = {
        each["spec"]["podSelector"]["matchLabels"]["component"]: each["spec"]
        for each in celery["objects"]
        if each["kind"] == "NetworkPolicy"
    }
    assert {"api-server", "scheduler", "triggerer", "worker"} <= policies.keys()
    (rule,) = policies["api-server"]["ingress"]
    assert {"podSelector": {"matchLabels": {"tier": "airflow"}}} in rule["from"]
    assert rule["ports"] == [{"port": 8080}]
