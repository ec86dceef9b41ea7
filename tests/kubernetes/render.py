"""Render the chart and validate what comes of it; run by the Python of .venv-helm.

python render.py CHART [VALUES...] < more.yaml prints one JSON document: `chart` (name and release),
`objects`, `problems` (what a schema says against an object), and `hooked`, by DAG the resources that the hook
gives to a pod of the KubernetesExecutor (nothing with another executor). A CHART that ends in .yaml holds
objects.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import yaml
from kubernetes import client

# The oldest and the newest release whose objects are checked.
RELEASES = ("1.31", "1.37")


def merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Values as Helm merges files of them: key by key, lists as a whole."""
    both = {
        key: merged(below[key], value)
        if isinstance(value, dict) and isinstance(below.get(key), dict)
        else value
        for key, value in above.items()
    }
    return {**below, **both}


def objects_in(text: str) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(text) if each]


def problems_of(each: dict[str, Any]) -> list[str]:
    name = f"{each['kind']} {each['metadata']['name']}"
    found = []
    for release in RELEASES:
        try:
            kubernetes_validate.validate(each, release, strict=True)
        except kubernetes_validate.ValidationError as error:
            found.append(f"{name} in {release}: {'.'.join(map(str, error.path))}: {error.message}")
    return found


def hooked(config: dict[str, str]) -> dict[str, Any]:
    """The resources that the hook in `airflow_local_settings.py` gives to the pod of a task."""
    if "pod_template_file.yaml" not in config:
        return {}
    hooks: dict[str, Any] = {}
    exec(config["airflow_local_settings.py"], hooks)  # ours, from values-kubernetes.yaml
    found = {}
    for dag in ("iris_train", "iris_score"):
        base = client.V1Container(name="base", image="evergreen")
        pod = client.V1Pod(
            metadata=client.V1ObjectMeta(annotations={"dag_id": dag}),
            spec=client.V1PodSpec(containers=[base]),
        )
        hooks["pod_mutation_hook"](pod)
        found[dag] = client.ApiClient().sanitize_for_serialization(base.resources)
    return found


def rendered(chart_path: str, values: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """What the chart is called, and the objects that Helm makes of it."""
    with helm_python.Chart.load(chart_path) as chart:
        chart.validate_schema(values)
        found = chart.render(values, name="evergreen", namespace="evergreen")
        title = f"{chart.name} {chart.version}, {len(chart.templates)} templates"
    return title, [
        each for path, text in found.items() if path.endswith(".yaml") for each in objects_in(text)
    ]


def main() -> None:
    chart_path, *files = sys.argv[1:]
    if chart_path.endswith(".yaml"):
        title, objects = Path(chart_path).name, objects_in(Path(chart_path).read_text())
    else:
        values: dict[str, Any] = {}
        for text in [*(Path(file).read_text() for file in files), sys.stdin.read()]:
            values = merged(values, yaml.safe_load(text) or {})
        title, objects = rendered(chart_path, values)
    config = next((each["data"] for each in objects if each["metadata"]["name"] == "evergreen-config"), {})
    objects += objects_in(config.get("pod_template_file.yaml", ""))
    document = {
        "chart": title,
        "objects": objects,
        "problems": [problem for each in objects for problem in problems_of(each)],
        "hooked": hooked(config),
    }
    print(json.dumps(document))


if __name__ == "__main__":
    main()
