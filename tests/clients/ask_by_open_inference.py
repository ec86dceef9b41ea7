"""Asks by the client that is generated from the protocol's own description, in its own environment.

Reads a request as JSON, and writes what was answered.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from open_inference.openapi.client import OpenInferenceClient
from open_inference.openapi.core.api_error import ApiError
from open_inference.openapi.types import InferenceRequest


def said(answer: Any) -> Any:
    """An answer as JSON has it."""
    return None if answer is None else json.loads(answer.json())


def main() -> None:
    """Ask for everything that the protocol has."""
    request = json.load(sys.stdin)
    model, version = request["model"], request["version"]
    client = OpenInferenceClient(base_url=request["address"])
    inputs = [
        {"name": name, "shape": [len(values)], "datatype": "FP64", "data": values}
        for name, values in request["features"].items()
    ]
    asked = InferenceRequest.parse_obj({"id": "7", "inputs": inputs})
    fewer = InferenceRequest.parse_obj({"inputs": inputs[1:]})
    client.check_server_liveness()
    client.check_server_readiness()
    client.check_model_readiness(model)
    client.check_model_version_readiness(model, version)
    found = {
        "server": said(client.read_server_metadata()),
        "metadata": said(client.read_model_metadata(model)),
        "metadata of a version": said(client.read_model_version_metadata(model, version)),
        "infer": said(client.model_infer(model, request=asked)),
        "infer by a version": said(client.model_version_infer(model, version, request=asked)),
    }
    try:
        client.model_infer(model, request=fewer)
    except ApiError as error:
        found["a feature less"] = {"status": error.status_code, "error": error.body["error"]}
    json.dump(found, sys.stdout)


main()
