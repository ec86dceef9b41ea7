"""The end of the demo: a night's rows asked of the server, whose answers must be what the night wrote."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from deploy.embedded.errors import StackError
from evergreen.json_values import json_values
from evergreen.lake import PARTITION, Table
from evergreen.scoring.predict import predict
from evergreen.scoring.published import PREDICTION, VERSION
from evergreen.scoring.score import rows_with_look_back

if TYPE_CHECKING:
    from pathlib import Path

    from evergreen.pipeline import Pipeline

_TIMEOUT = 60.0


@dataclass(frozen=True)
class Night:
    """The raw rows of a published partition, and its predictions by one version, by what names a row."""

    partition: str
    version: str
    rows: list[dict[str, Any]] = field(repr=False)
    predictions: dict[tuple[Any, ...], Any] = field(repr=False)

    @property
    def body(self) -> str:
        """The request that asks for all of its rows."""
        return json.dumps({"rows": self.rows, "whole": True})


def night_of(pipeline: Pipeline, version: str, partitions: Sequence[str]) -> Night:
    """The newest of the partitions that the version has scored.

    Where it has scored none yet, the newest of them with what a night by this version would write.
    """
    for partition in reversed(partitions):
        written = pipeline.lake.read(Table.PREDICTIONS, partition, partition)
        if written.num_rows and set(written[VERSION].to_pylist()) == {version}:
            return _night(pipeline, version, partition, written.to_pylist())
    partition = partitions[-1]
    rows = rows_with_look_back(pipeline, partition).to_pandas()
    found = predict(pipeline.spec, pipeline.registry.load(version), rows, partition)
    return _night(pipeline, version, partition, found.to_dict("records"))


def is_served(url: str, pipeline: str, version: str) -> bool:
    """Whether the server answers by this version already."""
    try:
        found = httpx.get(f"{url}/ready", timeout=_TIMEOUT).json()
    except (httpx.HTTPError, ValueError):
        return False
    return bool(found["pipelines"].get(pipeline, {}).get("version") == version)


def ask(url: str, pipeline: Pipeline, night: Night) -> None:
    """Ask for the rows of a night.

    Raises `StackError` if the server refuses them, or answers one otherwise than the night: by the last bit.
    """
    try:
        answer = httpx.post(
            _path(url, pipeline.name),
            content=night.body,
            headers={"Content-Type": "application/json"},
            timeout=_TIMEOUT,
        )
        found = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise StackError(f"the server at {url} does not answer: {error}") from None
    if answer.status_code != httpx.codes.OK:
        raise StackError(f"{pipeline.name} {night.partition}: /predict refused it: {found.get('error')}")
    said = {_key(pipeline, row): row.get(PREDICTION) for row in found["predictions"] if "error" not in row}
    differ = sum(said.get(key) != value for key, value in night.predictions.items())
    if differ or found["version"] != night.version:
        raise StackError(
            f"{pipeline.name} {night.partition}: {differ} of {len(night.predictions)} answers of /predict, "
            f"by {found['version']}, are not what the night by {night.version} wrote"
        )


def curl(url: str, pipeline: str, request: Path) -> str:
    """The command that asks for what the file holds."""
    header = "Content-Type: application/json"
    return shlex.join(["curl", "-s", _path(url, pipeline), "-H", header, "-d", f"@{request}"])


def _path(url: str, pipeline: str) -> str:
    return f"{url}/v1/pipelines/{pipeline}/predict"


def _night(pipeline: Pipeline, version: str, partition: str, written: list[dict[Any, Any]]) -> Night:
    rows = pipeline.lake.read(Table.PARTITIONS, partition, partition)
    unsent = [name for name in (PARTITION, pipeline.spec.target) if name in rows.column_names]
    raw = [_plain(row) for row in rows.drop_columns(unsent).to_pylist()]
    predictions = {_key(pipeline, _plain(row)): row[PREDICTION] for row in written}
    return Night(partition, version, raw, predictions)


def _key(pipeline: Pipeline, row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in pipeline.spec.keys)


def _plain(row: dict[Any, Any]) -> dict[str, Any]:
    """The row as JSON has it, with times as the server writes them."""
    times = {
        name: value.isoformat().replace("+00:00", "Z")
        for name, value in row.items()
        if hasattr(value, "isoformat")
    }
    return dict(json_values({**row, **times}))
