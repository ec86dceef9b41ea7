"""What must be true of every object that is sent to a cluster, whoever wrote it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]

# A login in an address, an option or setting that holds a password or key, a PEM file.
_NAMES = "passw(or)?d|secret[_-]?key|fernet[_-]?key|jwt[_-]?secret|api[_-]?key"
SECRET = re.compile(
    rf"://[^/\s:@]*:[^/\s@$]+@|(?i:{_NAMES})\s*[=:]\s*['\"]?[^\s'\"$]|--passw|-----BEGIN",
)
SECRET_NAME = re.compile(
    r"PASSWORD|SECRET|_KEY$|FERNET|SQL_ALCHEMY_CONN|BROKER_URL|RESULT_BACKEND|AIRFLOW_CONN_"
)


def pod_specs(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """The name of each object that has pods, with their specification."""
    for each in objects:
        spec = each if each["kind"] == "Pod" else each.get("spec", {}).get("template", {})
        if "containers" in spec.get("spec", {}):
            yield f"{each['kind']} {each['metadata']['name']}", spec["spec"]


def containers(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """Every container, those that run first too, by the name of its object and its own."""
    for name, spec in pod_specs(objects):
        for each in [*(spec.get("initContainers") or []), *spec["containers"]]:
            yield f"{name}: {each['name']}", each


def keys(container: Object) -> set[str]:
    """The names of the variables that a container takes from Secrets, one by one or as a whole."""
    single = {
        each["name"] for each in container.get("env") or [] if "secretKeyRef" in each.get("valueFrom", {})
    }
    return single | {each["secretRef"]["name"] for each in container.get("envFrom") or []}


def secrets_in_the_open(objects: list[Object]) -> list[str]:
    """Where a secret's value stands: an argument, a variable, a ConfigMap, an annotation, a Secret."""
    found = [f"Secret {each['metadata']['name']}" for each in objects if each["kind"] == "Secret"]
    for each in objects:
        texts = {**each.get("data", {}), **(each["metadata"].get("annotations") or {})}
        found += [
            f"{each['metadata']['name']}: {key}" for key, text in texts.items() if SECRET.search(str(text))
        ]
    for name, container in containers(objects):
        words = [*(container.get("command") or []), *(container.get("args") or [])]
        if SECRET.search(" ".join(map(str, words))):
            found.append(f"{name}: arguments")
        found += [
            f"{name}: {each['name']}"
            for each in container.get("env") or []
            if "value" in each and (SECRET_NAME.search(each["name"]) or SECRET.search(str(each["value"])))
        ]
    return found


def unlocked(objects: list[Object]) -> list[str]:
    """Containers that may become root, gain rights or change their image, or whose memory has no bound."""
    found = []
    for name, spec in pod_specs(objects):
        pod = spec.get("securityContext") or {}
        if not pod.get("runAsNonRoot") or pod.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            found.append(name)
    for name, container in containers(objects):
        own = container.get("securityContext") or {}
        resources = container.get("resources") or {}
        if not (
            own.get("allowPrivilegeEscalation") is False
            and own.get("readOnlyRootFilesystem")
            and own.get("capabilities") == {"drop": ["ALL"]}
        ):
            found.append(f"{name}: rights")
        if not (
            {"cpu", "memory"} <= resources.get("requests", {}).keys()
            and "memory" in resources.get("limits", {})
        ):
            found.append(f"{name}: resources")
    return found
