"""Asks by Triton's client, in its own environment: reads a request as JSON, and writes what was answered."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException


def outputs_of(answer: triton.InferResult) -> dict[str, Any]:
    """The outputs by name, texts decoded."""
    found = {}
    for output in answer.get_response()["outputs"]:
        values = answer.as_numpy(output["name"])
        texts = [one.decode() if isinstance(one, bytes) else one for one in values.ravel()]
        found[output["name"]] = texts if values.dtype == object else values.tolist()
    return found


def asked(client: triton.InferenceServerClient, model: str, inputs: Sequence[Any], **options: Any) -> Any:
    """The outputs, or the refusal."""
    try:
        return outputs_of(client.infer(model, inputs, **options))
    except InferenceServerException as error:
        return {"error": error.message(), "status": error.status()}


def tensors(features: dict[str, np.ndarray], *, packed: bool) -> list[triton.InferInput]:
    """The features as a tensor each."""
    found = []
    for name, values in features.items():
        tensor = triton.InferInput(name, list(values.shape), "FP64")
        tensor.set_data_from_numpy(values, binary_data=packed)
        found.append(tensor)
    return found


def main() -> None:
    """Ask in every form that the client has."""
    request = json.load(sys.stdin)
    model, version = request["model"], request["version"]
    client = triton.InferenceServerClient(request["address"].removeprefix("http://"), network_timeout=60)
    features = {name: np.array(values) for name, values in request["features"].items()}
    one = triton.InferInput("rows", [len(next(iter(features.values()))), len(features)], "FP64")
    one.set_data_from_numpy(np.column_stack(list(features.values())))
    wanted = [triton.InferRequestedOutput("prediction", binary_data=False)]
    packed = tensors(features, packed=True)
    found = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model ready": client.is_model_ready(model),
        "version ready": client.is_model_ready(model, version),
        "other ready": client.is_model_ready("no-such-model"),
        "server": client.get_server_metadata(),
        "metadata": client.get_model_metadata(model, version),
        "JSON": asked(
            client,
            model,
            tensors(features, packed=False),
            outputs=[triton.InferRequestedOutput(name, binary_data=False) for name in request["outputs"]],
        ),
        "bytes": asked(client, model, packed, request_id="7"),
        "a version": asked(client, model, packed, model_version=version),
        "one tensor": asked(client, model, [one]),
        "one output": asked(client, model, packed, outputs=wanted),
        "another output": asked(client, model, packed, outputs=[triton.InferRequestedOutput("price")]),
        "a feature less": asked(client, model, packed[1:]),
        "at once": [
            outputs_of(each.get_result()) for each in [client.async_infer(model, packed) for _ in range(3)]
        ],
        "answer in gzip": asked(client, model, packed, response_compression_algorithm="gzip"),
        "request in gzip": asked(client, model, packed, request_compression_algorithm="gzip"),
    }
    json.dump(found, sys.stdout)


main()
