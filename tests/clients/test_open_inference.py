"""The Open Inference Protocol as clients speak it that others wrote: `make test-clients`.

They run in an environment of their own, which the other tests do without.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from evergreen.lake import PARTITION, Table
from evergreen.rows.frame import to_frame
from evergreen.scoring.predict import partition_features
from tests.integration.serving.conftest import Worlds, worlds
from tests.integration.serving.running import running
from tests.integration.serving.worlds import World

__all__ = ["worlds"]

HERE = Path(__file__).parent
ENVIRONMENT = HERE.parents[1] / ".venv-clients"
pytestmark = pytest.mark.skipif(
    not (ENVIRONMENT / ".complete").exists(), reason="no .venv-clients: make test-clients builds it"
)


@pytest.fixture(scope="module")
def world(worlds: Worlds) -> World:
    return worlds("iris")


@pytest.fixture(scope="module")
def asking(world: World) -> Iterator[dict[str, Any]]:
    """What a client needs to ask for all rows of a running server."""
    rows = to_frame(world.pipeline.lake.read(Table.PARTITIONS))
    features: pd.DataFrame = partition_features(world.pipeline.spec, rows, rows[PARTITION].iloc[0])
    with running(world.pipeline) as client:
        yield {
            "address": str(client.base_url).rstrip("/"),
            "model": "iris",
            "version": world.version,
            "features": {str(name): features[name].tolist() for name in features},
            "outputs": ["prediction", "probabilities"],
        }


@pytest.fixture(scope="module")
def night(world: World) -> dict[str, Any]:
    rows = sorted(world.night, key=world.key)
    return {name: [row[name] for row in rows] for name in ("prediction", "probabilities")}


def answered(script: str, asking: dict[str, Any]) -> dict[str, Any]:
    python = ENVIRONMENT / "bin" / "python"
    done = subprocess.run(
        [python, HERE / script], input=json.dumps(asking), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_by_the_client_of_triton(asking: dict[str, Any], night: dict[str, Any]) -> None:
    found = answered("ask_by_triton.py", asking)
    said = {
        name: found.pop(name) for name in ("live", "ready", "model ready", "version ready", "other ready")
    }
    assert list(said.values()) == [True, True, True, True, False]
    assert found.pop("server")["extensions"] == ["binary_tensor_data"]
    metadata = found.pop("metadata")
    assert metadata["versions"] == [asking["version"]]
    assert [one["name"] for one in metadata["inputs"]] == list(asking["features"])
    less, other = found.pop("a feature less"), found.pop("another output")
    assert (less["status"], "the feature 'sepal_length' is missing" in less["error"]) == ("422", True)
    assert (other["status"], other["error"]) == ("422", "there is no output 'price'")
    packed = found.pop("request in gzip")
    assert (packed["status"], "is compressed (gzip)" in packed["error"]) == ("415", True)
    assert found.pop("at once") == [night] * 3
    assert found.pop("one output") == {"prediction": night["prediction"]}
    assert {name for name, one in found.items() if one == night} == {
        "JSON",
        "bytes",
        "a version",
        "one tensor",
        "answer in gzip",
    }


def test_by_the_client_of_the_protocol_itself(asking: dict[str, Any], night: dict[str, Any]) -> None:
    found = answered("ask_by_open_inference.py", asking)
    assert found["server"]["name"] == "evergreen"
    assert found["metadata"] == found["metadata of a version"]
    assert [one["name"] for one in found["metadata"]["inputs"]] == list(asking["features"])
    assert found["infer"] == found["infer by a version"]
    assert {one["name"]: one["shape"] for one in found["infer"]["outputs"]} == {
        "prediction": [len(night["prediction"])],
        "probabilities": [len(night["prediction"]), 3],
    }
    prediction, probabilities = (one["data"] for one in found["infer"]["outputs"])
    assert prediction == night["prediction"]
    assert probabilities == [value for row in night["probabilities"] for value in row]
    assert found["a feature less"]["status"] == 422
    assert "the feature 'sepal_length' is missing" in found["a feature less"]["error"]
