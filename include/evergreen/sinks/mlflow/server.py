"""The requests to an MLflow server: its REST API 2.0, as servers of MLflow 3 answer it.

Artifacts are sent through the server, as its own page does: so they come to be wherever the experiment keeps
them, without credentials of that store here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import httpx

from evergreen.connections import Connection, redacted
from evergreen.errors import SourceError, UnavailableError
from evergreen.sinks.mlflow.run import PIPELINE, VERSION, Run
from evergreen.sources.http.auth.tls import refusal
from evergreen.sources.http.client import api_of
from evergreen.sources.http.cut_off import CutOff

_API, _UPLOAD = "/api/2.0/mlflow/", "/ajax-api/2.0/mlflow/upload-artifact"
_FINISHED, _DELETED = "FINISHED", "deleted"
_CONNECT, _SILENCE = 2.0, 10.0  # seconds
_PAGE, _BATCH = 200, 100
_KIND = {"mlflow.experimentKind": "custom_model_development"}  # or its page takes runs for those of chats
_REMEDIES = {
    401: "check login, password or token of the connection",
    403: "its user lacks the right to do this in MLflow",
    404: "check the host and path of the connection: they must lead to an MLflow server",
}
_THERE, _ABSENT = "RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST"


@dataclass(frozen=True)
class KnownRun:
    """A run that MLflow has: `whole` once all was told, `gone` if somebody deleted it there."""

    run_id: str
    start: int
    whole: bool
    gone: bool


@dataclass(frozen=True)
class KnownModel:
    """A registered model: the tags of its versions by MLflow's numbers, and the numbers by alias."""

    versions: Mapping[str, Mapping[str, str]]
    aliases: Mapping[str, str]


class Server:
    """An MLflow server, asked with the credentials of a connection until `seconds` have passed.

    Every method raises `UnavailableError` if the server cannot be reached, fails or is too slow, and
    `SourceError` if it refuses, or does not answer as MLflow does. No message holds a secret.
    """

    def __init__(self, connection: Connection, pipeline: str, seconds: float) -> None:
        self._connection, self._where = connection, f"{pipeline}: MLflow ({connection.conn_id})"
        self._api = api_of(connection, {})
        self._client = httpx.Client(
            auth=self._api.auth,
            verify=self._api.tls,
            headers=self._api.headers,
            timeout=httpx.Timeout(_SILENCE, connect=_CONNECT),
        )
        self._cut_off = CutOff(seconds)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._cut_off.cancel()
        self._client.close()

    # runs

    def experiment(self, name: str) -> str:
        """The id of the experiment, which is created if it is absent."""
        found = self._get("experiments/get-by-name", {"experiment_name": name}, unless=_ABSENT)
        if found is None:
            made = self._post("experiments/create", {"name": name, "tags": _pairs(_KIND)}, unless=_THERE)
            return str(made["experiment_id"]) if made else self.experiment(name)
        experiment = found["experiment"]
        if experiment.get("lifecycle_stage") == _DELETED:
            raise SourceError(
                f"{self._where}: the experiment '{name}' was deleted there: restore it, or name another one "
                "in mlflow.experiment"
            )
        return str(experiment["experiment_id"])

    def runs(self, experiment: str, pipeline: str) -> dict[str, KnownRun]:
        """The runs of a pipeline's versions, the deleted ones too; of several of a version, the first."""
        asked = {
            "experiment_ids": [experiment],
            "filter": f"tags.`{PIPELINE}` = '{pipeline}'",
            "run_view_type": "ALL",
            "order_by": ["attributes.start_time DESC", "attributes.run_id DESC"],
            "max_results": _PAGE,
        }
        found, token = {}, None
        while True:
            page = self._post("runs/search", asked | ({"page_token": token} if token else {}))
            for run in page.get("runs", ()):
                tags = _tags(run["data"])
                if VERSION in tags:
                    found[tags[VERSION]] = _known(run["info"])
            if not (token := page.get("next_page_token")):
                return found

    def create(self, experiment: str, run: Run, start: int) -> KnownRun:
        """A new run, nothing but named and tagged, that began at `start` (milliseconds since 1970)."""
        made = self._post(
            "runs/create",
            {
                "experiment_id": experiment,
                "run_name": run.name,
                "start_time": start,
                "tags": _pairs(run.tags),
            },
        )
        return _known(made["run"]["info"])

    def complete(self, known: KnownRun, run: Run) -> None:
        """Tell what a run is missing, and end it; the same again if it was interrupted before it ended."""
        for params in _batches(_pairs(run.params)):
            self._post("runs/log-batch", {"run_id": known.run_id, "params": params})
        points = [{**pair, "timestamp": known.start, "step": 0} for pair in _pairs(run.metrics)]
        for metrics in _batches(points):
            self._post("runs/log-batch", {"run_id": known.run_id, "metrics": metrics})
        for name, content in run.artifacts.items():
            self._ask("POST", _UPLOAD, {"run_uuid": known.run_id, "path": name}, content=content)
        ended = {"run_id": known.run_id, "status": _FINISHED, "end_time": known.start}
        self._post("runs/update", ended)

    # the registered model

    def model(self, name: str) -> KnownModel:
        """The pipeline's registered model, which is created if it is absent.

        Raises `SourceError` if there is one of that name which no pipeline has made: it is left alone.
        """
        found = self._get("registered-models/get", {"name": name}, unless=_ABSENT)
        if found is None:
            tags = _pairs({PIPELINE: name})
            self._post("registered-models/create", {"name": name, "tags": tags}, unless=_THERE)
            return KnownModel({}, {})
        if _tags(found["registered_model"]).get(PIPELINE) != name:
            raise SourceError(
                f"{self._where}: the registered model '{name}' there is not this pipeline's: rename it, or "
                f"set its tag {PIPELINE} to {name} to have the pipeline's versions added to it"
            )
        listed = found["registered_model"].get("aliases", ())
        return KnownModel(dict(self._versions(name)), {one["alias"]: str(one["version"]) for one in listed})

    def register(self, name: str, source: str, run: str, tags: Mapping[str, str]) -> str:
        """A new version of the registered model, and its number; `source` is where its files are."""
        asked = {"name": name, "source": source, "run_id": run, "tags": _pairs(tags)}
        return str(self._post("model-versions/create", asked)["model_version"]["version"])

    def tag(self, name: str, number: str, key: str, value: str) -> None:
        """Set a tag of a version of the registered model."""
        self._post("model-versions/set-tag", {"name": name, "version": number, "key": key, "value": value})

    def point(self, name: str, alias: str, number: str | None) -> None:
        """Let the alias name a version of the registered model; None: no version."""
        path = "registered-models/alias"
        if number is None:
            self._ask("DELETE", _API + path, content=_json({"name": name, "alias": alias}))
        else:
            self._post(path, {"name": name, "alias": alias, "version": number})

    def _versions(self, name: str) -> Iterator[tuple[str, dict[str, str]]]:
        asked, token = {"filter": f"name='{name}'", "max_results": str(_PAGE)}, None
        while True:
            page = self._get("model-versions/search", asked | ({"page_token": token} if token else {}))
            for one in page.get("model_versions", ()):
                yield str(one["version"]), _tags(one)
            if not (token := page.get("next_page_token")):
                return

    # how

    def _get(self, path: str, params: Mapping[str, str], unless: str = "") -> Any:
        return self._ask("GET", _API + path, params, unless=unless)

    def _post(self, path: str, body: Mapping[str, Any], unless: str = "") -> Any:
        return self._ask("POST", _API + path, content=_json(body), unless=unless)

    def _ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        content: bytes | None = None,
        unless: str = "",
    ) -> Any:
        """The document of a good answer; None if the server refuses with the error code `unless`."""
        url = self._api.url(self._api.address(path)).copy_merge_params(params or {})
        headers = {"Content-Type": "application/octet-stream" if path == _UPLOAD else "application/json"}
        self._check_time()
        try:
            response = self._client.request(
                method, url, content=content, headers=headers, extensions=self._cut_off.extensions
            )
        except httpx.RequestError as error:
            self._check_time()  # at the deadline the connection is cut off by us
            if why := refusal(error):
                raise SourceError(f"{self._where} cannot be used: {why}") from None
            raise UnavailableError(
                f"{self._where} failed ({type(error).__name__}): check that it runs and can be reached"
            ) from None
        self._check_time()
        return self._read(response, unless)

    def _read(self, response: httpx.Response, unless: str) -> Any:
        status = response.status_code
        try:
            document = response.json() if response.content else {}
        except ValueError:
            document = None
        if response.is_success and isinstance(document, dict):
            return document
        told = document if isinstance(document, dict) else {}
        if unless and told.get("error_code") == unless:
            return None
        said = redacted(str(told.get("message") or "no reason"), self._connection)
        if response.is_server_error or status in (408, 429):
            raise UnavailableError(f"{self._where} answered {status}: {said}")
        remedy = _REMEDIES.get(status, "check that the connection leads to a server of MLflow 3")
        raise SourceError(f"{self._where} answered {status}: {said}: {remedy}")

    def _check_time(self) -> None:
        if self._cut_off.over:
            raise UnavailableError(f"{self._where} is too slow: try again later")


def _known(info: Mapping[str, Any]) -> KnownRun:
    return KnownRun(
        run_id=str(info["run_id"]),
        start=int(info["start_time"]),
        whole=info.get("status") == _FINISHED,
        gone=info.get("lifecycle_stage") == _DELETED,
    )


def _tags(holder: Mapping[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in holder.get("tags", ())}


def _pairs(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value} for key, value in values.items()]


def _batches(pairs: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    rest = iter(pairs)
    while batch := list(islice(rest, _BATCH)):
        yield batch


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body).encode()
