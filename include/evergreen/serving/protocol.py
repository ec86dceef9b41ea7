"""The routes of the Open Inference Protocol, version 2, for features as tensors.

A pipeline is a model there, and its champion the only version. Errors are `{"error": "..."}`, as the protocol
has them.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request, Response

from evergreen.serving.entrance import About
from evergreen.serving.infer import Inferred, infer, metadata
from evergreen.serving.refused import RequestRefusedError
from evergreen.serving.served import Served
from evergreen.serving.service import Serving, as_json, read_request
from evergreen.shown import shown

_BYTES = "application/octet-stream"
_MODEL = "/v2/models/{model}"
_VERSION = "/v2/models/{model}/versions/{version}"
_SERVER = {"name": "evergreen", "version": "2", "extensions": ["binary_tensor_data"]}


def add_protocol(app: FastAPI, serving: Serving) -> None:
    """Add the routes to an application."""

    def served(model: str, version: str | None) -> Served:
        found = serving.served(model)
        if version is not None and version != found.version:
            raise RequestRefusedError(
                404, f"{model} has no version '{shown(version)}' here, only its champion {found.version}"
            )
        return found

    @app.get("/v2", summary="The server, and its extensions of the protocol")
    async def server() -> Response:
        return as_json(_SERVER)

    @app.get("/v2/health/live", summary="Whether the server runs")
    async def live() -> Response:
        return as_json({"live": True})

    @app.get("/v2/health/ready", summary="Whether each pipeline that has a champion is answered for")
    async def ready() -> Response:
        return as_json({"ready": serving.ready}, 200 if serving.ready else 503)

    @app.get(_VERSION, summary="The features and outputs of a version")
    @app.get(_MODEL, summary="The features and outputs of the champion")
    async def model_metadata(model: str, version: str | None = None) -> Response:
        return as_json(await serving.turns.run(metadata, served(model, version)))

    @app.get(f"{_VERSION}/ready", summary="Whether a version answers")
    @app.get(f"{_MODEL}/ready", summary="Whether a champion answers")
    async def model_ready(model: str, version: str | None = None) -> Response:
        return as_json({"name": model, "ready": bool(served(model, version))})

    @app.post(f"{_VERSION}/infer", summary="Predict features by a version", openapi_extra=_REQUEST)
    @app.post(f"{_MODEL}/infer", summary="Predict features by the champion", openapi_extra=_REQUEST)
    async def model_infer(model: str, request: Request, version: str | None = None) -> Response:
        about: About = request.state.about
        found = served(model, version)
        about.pipeline, about.version = model, found.version
        body = await read_request(request, serving.limits, _BYTES)
        told = request.headers.get("inference-header-content-length")
        said: Inferred = await serving.turns.run(infer, found, body, told, serving.limits.rows)
        about.rows = said.rows
        kind = _BYTES if said.headers else "application/json"
        return Response(said.body, headers=said.headers, media_type=kind)


_REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["inputs"],
                    "properties": {
                        "id": {"type": "string"},
                        "inputs": {"type": "array", "items": {"type": "object"}},
                        "outputs": {"type": "array", "items": {"type": "object"}},
                    },
                }
            }
        },
    }
}
