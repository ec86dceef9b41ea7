"""A small MLflow server: the part of the REST API that is used here, held to strictly.

A request that MLflow 3.17 would refuse is refused, and so is one with a field that nobody there reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.http_peers import Asked, Said

_NAME = re.compile(r"[/\w.\- :]{1,250}")


class RefusalError(Exception):
    def __init__(self, code: str, status: int = 400) -> None:
        super().__init__(code)
        self.said = Said(status, json.dumps({"error_code": code, "message": f"it is {code}"}).encode())


def check(holds: bool) -> None:
    if not holds:
        raise RefusalError("INVALID_PARAMETER_VALUE")


@dataclass
class SmallMlflow:
    """Experiments, runs and registered models in memory; `page` is the most that a search answers at once."""

    authorization: str = "Bearer planted-token"
    page: int = 2
    experiments: dict[str, str] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    written: int = 0
    _ids: Any = field(default_factory=lambda: count(1))

    def __call__(self, asked: Asked) -> Said:
        url = urlsplit(asked.path)
        query = dict(parse_qsl(url.query))
        try:
            if asked.headers.get("authorization") != self.authorization:
                return Said(401, b"<p>You are not authenticated</p>")
            if url.path == "/ajax-api/2.0/mlflow/upload-artifact":
                answer = self.upload(asked.body, **query)
            else:
                prefix, _, route = url.path.partition("/api/2.0/mlflow/")
                check(not prefix)
                body = query if asked.method == "GET" else json.loads(asked.body)
                answer = ROUTES[asked.method, route](self, **body)
        except RefusalError as refusal:
            return refusal.said
        except KeyError:
            return Said(404, b"<p>Not found</p>")
        return Said(body=json.dumps(answer).encode())

    def upload(self, content: bytes, run_uuid: str, path: str) -> dict[str, Any]:
        check(0 < len(content) <= 10 * 2**20)
        self.runs[run_uuid]["artifacts"][path] = content
        self.written += 1
        return {}

    def experiment_by_name(self, experiment_name: str) -> dict[str, Any]:
        for number, name in self.experiments.items():
            if name == experiment_name:
                return {"experiment": {"experiment_id": number, "name": name, "lifecycle_stage": "active"}}
        raise RefusalError("RESOURCE_DOES_NOT_EXIST", 404)

    def create_experiment(self, name: str, tags: list) -> dict[str, Any]:
        check(tags == [{"key": "mlflow.experimentKind", "value": "custom_model_development"}])
        if name in self.experiments.values():
            raise RefusalError("RESOURCE_ALREADY_EXISTS")
        number = str(next(self._ids))
        self.experiments[number] = name
        self.written += 1
        return {"experiment_id": number}

    def create_run(self, experiment_id: str, run_name: str, start_time: int, tags: list) -> dict[str, Any]:
        check(experiment_id in self.experiments and isinstance(start_time, int))
        check(all(set(tag) == {"key", "value"} and len(tag["value"]) <= 8000 for tag in tags))
        run_id = f"run{next(self._ids):06}"
        info = {
            "run_id": run_id,
            "run_name": run_name,
            "experiment_id": experiment_id,
            "status": "RUNNING",
            "start_time": start_time,
            "lifecycle_stage": "active",
        }
        data = {"tags": tags, "params": [], "metrics": []}
        self.runs[run_id] = {"info": info, "data": data, "artifacts": {}}
        self.written += 1
        return {"run": {"info": info, "data": data}}

    def log_batch(self, run_id: str, metrics: list = [], params: list = []) -> dict[str, Any]:  # noqa: B006
        data = self.runs[run_id]["data"]
        check(len(metrics) <= 1000 and len(params) <= 100)
        check(all(_NAME.fullmatch(each["key"]) for each in (*metrics, *params)))
        check(all(set(one) == {"key", "value", "timestamp", "step"} for one in metrics))
        check(all(isinstance(one["value"], float) for one in metrics))
        check(all(isinstance(one["value"], str) and len(one["value"]) <= 6000 for one in params))
        known = {one["key"]: one["value"] for one in data["params"]}
        check(all(known.get(one["key"], one["value"]) == one["value"] for one in params))
        data["params"] += [one for one in params if one["key"] not in known]
        data["metrics"] += [one for one in metrics if one not in data["metrics"]]
        self.written += 1
        return {}

    def update_run(self, run_id: str, status: str, end_time: int) -> dict[str, Any]:
        check(status in ("FINISHED", "FAILED", "KILLED") and isinstance(end_time, int))
        self.runs[run_id]["info"].update(status=status, end_time=end_time)
        self.written += 1
        return {"run_info": self.runs[run_id]["info"]}

    def search_runs(self, page_token: str = "0", **asked: Any) -> dict[str, Any]:
        check(set(asked) == {"experiment_ids", "filter", "run_view_type", "order_by", "max_results"})
        found = re.fullmatch(r"tags\.`([\w.]+)` = '(\w+)'", asked["filter"])
        check(found is not None and asked["run_view_type"] == "ALL" and asked["max_results"] <= 50_000)
        check(asked["order_by"] == ["attributes.start_time DESC", "attributes.run_id DESC"])
        tag = {"key": found[1], "value": found[2]}
        runs = [
            {"info": run["info"], "data": run["data"]}
            for run in self.runs.values()
            if run["info"]["experiment_id"] in asked["experiment_ids"] and tag in run["data"]["tags"]
        ]
        runs.sort(key=lambda run: (run["info"]["start_time"], run["info"]["run_id"]), reverse=True)
        return self._page("runs", runs, page_token)

    def model(self, name: str) -> dict[str, Any]:
        if name not in self.models:
            raise RefusalError("RESOURCE_DOES_NOT_EXIST", 404)
        model = self.models[name]
        aliases = [{"alias": alias, "version": number} for alias, number in model["aliases"].items()]
        # As MLflow does, fields that are empty are left out.
        return {
            "registered_model": {"name": name, "tags": model["tags"]}
            | ({"aliases": aliases} if aliases else {})
        }

    def create_model(self, name: str, tags: list) -> dict[str, Any]:
        if name in self.models:
            raise RefusalError("RESOURCE_ALREADY_EXISTS")
        self.models[name] = {"tags": tags, "versions": {}, "aliases": {}}
        self.written += 1
        return {"registered_model": {"name": name}}

    def create_version(self, name: str, source: str, run_id: str, tags: list) -> dict[str, Any]:
        check(source.startswith("s3://") and run_id in self.runs)
        versions = self.models[name]["versions"]
        number = str(len(versions) + 1)
        versions[number] = {"name": name, "version": number, "source": source, "run_id": run_id, "tags": tags}
        self.written += 1
        return {"model_version": versions[number]}

    def search_versions(self, page_token: str = "0", **asked: Any) -> dict[str, Any]:
        check(set(asked) == {"filter", "max_results"} and int(asked["max_results"]) <= 200_000)
        found = re.fullmatch(r"name='(\w+)'", asked["filter"])
        check(found is not None)
        return self._page("model_versions", [*self.models[found[1]]["versions"].values()], page_token)

    def tag_version(self, name: str, version: str, key: str, value: str) -> dict[str, Any]:
        tags = self.models[name]["versions"][version]["tags"]
        tags[:] = [tag for tag in tags if tag["key"] != key] + [{"key": key, "value": value}]
        self.written += 1
        return {}

    def set_alias(self, name: str, alias: str, version: str) -> dict[str, Any]:
        check(version in self.models[name]["versions"])
        self.models[name]["aliases"][alias] = version
        self.written += 1
        return {}

    def delete_alias(self, name: str, alias: str) -> dict[str, Any]:
        del self.models[name]["aliases"][alias]
        self.written += 1
        return {}

    def _page(self, name: str, found: list, token: str) -> dict[str, Any]:
        end = int(token) + self.page
        more = {"next_page_token": str(end)} if end < len(found) else {}
        return {name: found[int(token) : end]} | more if found else {}


ROUTES: dict[tuple[str, str], Callable[..., dict[str, Any]]] = {
    ("GET", "experiments/get-by-name"): SmallMlflow.experiment_by_name,
    ("POST", "experiments/create"): SmallMlflow.create_experiment,
    ("POST", "runs/create"): SmallMlflow.create_run,
    ("POST", "runs/log-batch"): SmallMlflow.log_batch,
    ("POST", "runs/update"): SmallMlflow.update_run,
    ("POST", "runs/search"): SmallMlflow.search_runs,
    ("GET", "registered-models/get"): SmallMlflow.model,
    ("POST", "registered-models/create"): SmallMlflow.create_model,
    ("POST", "model-versions/create"): SmallMlflow.create_version,
    ("GET", "model-versions/search"): SmallMlflow.search_versions,
    ("POST", "model-versions/set-tag"): SmallMlflow.tag_version,
    ("POST", "registered-models/alias"): SmallMlflow.set_alias,
    ("DELETE", "registered-models/alias"): SmallMlflow.delete_alias,
}
