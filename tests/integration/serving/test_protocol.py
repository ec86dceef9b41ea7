"""The Open Inference Protocol: features as tensors give what the night gave for the rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from evergreen.lake import PARTITION, Table
from evergreen.rows.frame import to_frame
from evergreen.scoring.predict import partition_features
from evergreen.serving.tensors import Tensor, read_tensors
from tests.integration.serving.conftest import Worlds
from tests.integration.serving.running import running
from tests.integration.serving.worlds import World

BYTES = {"content-type": "application/octet-stream"}


@pytest.fixture(scope="module")
def world(worlds: Worlds) -> World:
    return worlds("iris")


@pytest.fixture(scope="module")
def client(world: World) -> Iterator[httpx.Client]:
    with running(world.pipeline) as client:
        yield client


@pytest.fixture(scope="module")
def features(world: World) -> pd.DataFrame:
    rows = to_frame(world.pipeline.lake.read(Table.PARTITIONS))
    return partition_features(world.pipeline.spec, rows, rows[PARTITION].iloc[0])


def of_night(world: World) -> dict[str, list[Any]]:
    night = sorted(world.night, key=world.key)
    return {name: [row[name] for row in night] for name in ("prediction", "probabilities")}


def said(answer: httpx.Response) -> dict[str, Any]:
    """The outputs by name, as nested lists."""
    assert answer.status_code == 200, answer.text
    length = int(answer.headers.get("inference-header-content-length", len(answer.content)))
    document = json.loads(answer.content[:length])
    found = read_tensors(document["outputs"], answer.content[length:])
    return {one.name: one.values.tolist() for one in found}


def test_health_and_metadata(client: httpx.Client, world: World) -> None:
    assert client.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    found = client.get("/v2/models/iris")
    assert found.json() == client.get(f"/v2/models/iris/versions/{world.version}").json()
    assert found.json() == {
        "name": "iris",
        "versions": [world.version],
        "platform": "evergreen",
        "inputs": [
            {"name": name, "datatype": "FP64", "shape": [-1]}
            for name in ("sepal_length", "sepal_width", "petal_length", "petal_width")
        ],
        "outputs": [
            {"name": "prediction", "datatype": "BYTES", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP64", "shape": [-1, 3]},
        ],
        "properties": {
            "role": "champion",
            "way": "scikit-learn's own: LogisticRegression is no ensemble of scikit-learn's trees",
        },
    }
    for place in ("iris", f"iris/versions/{world.version}"):
        assert client.get(f"/v2/models/{place}/ready").json() == {"name": "iris", "ready": True}
    for place in ("flowers", "iris/versions/1", "iris/versions/1/ready"):
        found = client.get(f"/v2/models/{place}")
        assert (found.status_code, list(found.json())) == (404, ["error"])


def test_features_in_json_and_in_bytes(client: httpx.Client, world: World, features: pd.DataFrame) -> None:
    tensors = [Tensor(str(name), features[name].to_numpy()) for name in features]
    document = {"id": "7", "inputs": [one.document() for one in tensors[::-1]]}
    found = client.post("/v2/models/iris/infer", json=document)
    assert said(found) == of_night(world)
    assert {name: found.json()[name] for name in ("model_name", "model_version", "id")} == {
        "model_name": "iris",
        "model_version": world.version,
        "id": "7",
    }
    packed = [one.packed() for one in tensors]
    text = json.dumps(
        {"inputs": [head for head, _ in packed], "parameters": {"binary_data_output": True}}
    ).encode()
    body = text + b"".join(body for _, body in packed)
    headers = {**BYTES, "inference-header-content-length": str(len(text))}
    found = client.post(f"/v2/models/iris/versions/{world.version}/infer", content=body, headers=headers)
    assert said(found) == of_night(world)
    assert "inference-header-content-length" in found.headers


def test_all_features_in_one_tensor_and_one_output(
    client: httpx.Client, world: World, features: pd.DataFrame
) -> None:
    document = {
        "inputs": [Tensor("rows", features.to_numpy()).document()],
        "outputs": [{"name": "probabilities", "parameters": {"binary_data": True}}],
    }
    found = said(client.post("/v2/models/iris/infer", json=document))
    assert found == {"probabilities": of_night(world)["probabilities"]}


def test_what_is_no_request(client: httpx.Client, features: pd.DataFrame) -> None:
    one = [Tensor(str(name), features[name].to_numpy()[:1]) for name in features]
    good = [tensor.document() for tensor in one]
    other = Tensor("petal_color", np.zeros(1)).document()
    texts = Tensor("petal_width", np.array(["x"], object)).document()
    for inputs, why in (
        (good[1:], "the feature 'sepal_length' is missing"),
        ([*good, other], "'petal_color' is no feature of"),
        ([*good[:3], texts], "the feature 'petal_width' must be FP64"),
        ([*good, good[0]], "input 'sepal_length' comes twice"),
    ):
        found = client.post("/v2/models/iris/infer", json={"inputs": inputs})
        assert found.status_code == 422
        assert why in found.json()["error"]
    for request, why in (
        ({"inputs": good, "outputs": [{"name": "price"}]}, "there is no output 'price'"),
        ({"inputs": good, "outputs": ["prediction"]}, "'outputs' is no list"),
        ([], "the request is no JSON object"),
    ):
        found = client.post("/v2/models/iris/infer", json=request)
        assert (found.status_code, why in found.json()["error"]) == (422, True)
    none = [Tensor(str(name), np.array([np.nan])).document() for name in features]
    found = client.post("/v2/models/iris/infer", json={"inputs": none})
    assert found.status_code == 422
    refused = "cannot be predicted: iris: the model refuses these features (ValueError: Input X contains NaN."
    assert found.json()["error"].startswith(refused)
