"""deploy/kubernetes as far as it can be checked without the chart; `make test-kubernetes` has the rest."""

from __future__ import annotations

import tomllib
from typing import Any

import yaml

from evergreen.stages import STAGES
from tests.conftest import ROOT
from tests.kubernetes.objects import SECRET, containers, keys, secrets_in_the_open, unlocked

DEPLOY = ROOT / "deploy" / "kubernetes"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
SERVING = list(yaml.safe_load_all((DEPLOY / "serving.yaml").read_text()))
VALUES = {
    name: yaml.safe_load((DEPLOY / name).read_text()) for name in ("values.yaml", "values-kubernetes.yaml")
}


def serving() -> dict[str, Any]:
    ((_, found),) = containers(SERVING)
    return found


def test_no_value_of_a_secret_is_among_the_values() -> None:
    for name, values in VALUES.items():
        written = {key: each for key, each in values.items() if key != "enableBuiltInSecretEnvVars"}
        assert SECRET.search(yaml.safe_dump(written)) is None, name
    assert VALUES["values.yaml"]["createUserJob"]["enabled"] is False


def test_workers_are_given_no_key() -> None:
    assert set(VALUES["values.yaml"]["enableBuiltInSecretEnvVars"].values()) == {False}
    workers = VALUES["values.yaml"]["workers"]["celery"]
    for each in (workers, *workers["sets"], VALUES["values-kubernetes.yaml"]["workers"]["kubernetes"]):
        assert [entry for entry in each["env"] if "valueFrom" in entry] == []
    assert "secret" not in VALUES["values.yaml"]


def test_the_queues_are_those_of_the_stages() -> None:
    workers = VALUES["values.yaml"]["workers"]["celery"]
    queued = [stage for stage in STAGES if stage.queue]
    assert {each["queue"] for each in workers["sets"]} == {stage.queue for stage in queued}
    assert workers["queue"] == "default"
    hook = VALUES["values-kubernetes.yaml"]["airflowLocalSettings"]
    assert [stage for stage in queued if f'endswith("{stage.dag_id("")}")' not in hook] == []


def test_the_images_have_the_version_of_the_project() -> None:
    for values in VALUES.values():
        assert {image["tag"] for image in values["images"].values()} == {VERSION}
    assert serving()["image"] == f"evergreen-serving:{VERSION}"
    assert f"EVERGREEN_IMAGE=evergreen:{VERSION}" in (DEPLOY / "Dockerfile").read_text()


def test_the_server_has_no_key_in_the_open_and_none_to_airflow() -> None:
    assert secrets_in_the_open(SERVING) == []
    assert keys(serving()) == {"evergreen-storage", "evergreen-serving"}
    assert "--token" in serving()["args"]


def test_the_server_can_change_nothing_and_is_asked_how_it_does() -> None:
    assert unlocked(SERVING) == []
    probes = {name: each["httpGet"]["path"] for name, each in serving().items() if name.endswith("Probe")}
    assert probes == {"startupProbe": "/health", "livenessProbe": "/health", "readinessProbe": "/ready"}


def test_the_objects_of_the_server_find_one_another() -> None:
    labels = {"app.kubernetes.io/name": "evergreen-serving"}
    by_kind = {each["kind"]: each["spec"] for each in SERVING if "spec" in each}
    assert by_kind.keys() == {"Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy"}
    assert by_kind["Deployment"]["template"]["metadata"]["labels"] == labels
    assert by_kind["Service"]["selector"] == labels
    assert by_kind["PodDisruptionBudget"]["selector"]["matchLabels"] == labels
    assert by_kind["NetworkPolicy"]["podSelector"]["matchLabels"] == labels
    (port,) = by_kind["Service"]["ports"]
    assert port["targetPort"] in {each["name"] for each in serving()["ports"]}
