"""The HTTP application: predictions by the champions of some pipelines, probes and figures."""

from __future__ import annotations

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.requests import ClientDisconnect

from evergreen.serving.answer import Answer, answer
from evergreen.serving.body import read_body
from evergreen.serving.canary import ServedCanary
from evergreen.serving.entrance import About
from evergreen.serving.meters import CONTENT_TYPE
from evergreen.serving.protocol import add_protocol
from evergreen.serving.refused import RequestRefusedError
from evergreen.serving.served import Served
from evergreen.serving.service import Serving, as_json, read_request
from evergreen.shown import shown

_TITLE = "Evergreen: predictions by champions"
_BODY = {
    "type": "object",
    "required": ["rows"],
    "properties": {
        "rows": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "object"},
            "description": "raw rows: each column as the sources give it, without the target",
        },
        "whole": {
            "type": "boolean",
            "description": "whether these are all rows of their partitions",
        },
    },
}


def make_app(serving: Serving) -> FastAPI:
    """The application with all its routes."""
    app = FastAPI(title=_TITLE, docs_url=None, redoc_url=None, openapi_url="/openapi.json")
    app.add_exception_handler(RequestRefusedError, _refused)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(404, _unknown)
    app.add_exception_handler(405, _unknown)

    @app.get("/health", summary="Whether the server runs")
    async def health() -> Response:
        return as_json({"live": True})

    @app.get("/ready", summary="Whether each pipeline with a champion is answered for, and how up to date")
    async def ready() -> Response:
        found = serving.conditions()
        return as_json({"ready": serving.ready, "pipelines": found}, 200 if serving.ready else 503)

    @app.get("/metrics", summary="Figures for Prometheus")
    async def metrics() -> Response:
        return Response(serving.meters.read(), media_type=CONTENT_TYPE)

    @app.post(
        "/v1/pipelines/{pipeline}/predict",
        summary="Predict raw rows by the champion, as a night would",
        openapi_extra={"requestBody": {"content": {"application/json": {"schema": _BODY}}, "required": True}},
    )
    async def predict(pipeline: str, request: Request) -> Response:
        about: About = request.state.about
        served, canary = serving.answering(pipeline)
        about.pipeline, about.version = pipeline, served.version
        text = await read_request(request, serving.limits)
        document = await serving.turns.run(_predicted, serving, served, canary, text, about)
        return Response(document, 200 if about.failed < about.rows else 422, media_type="application/json")

    add_protocol(app, serving)
    return app


def _predicted(
    serving: Serving, served: Served, canary: ServedCanary | None, text: bytes, about: About
) -> bytes:
    body = read_body(text, exact=served.types.exact, most_rows=serving.limits.rows)
    about.rows = about.failed = len(body.rows)
    found: Answer = answer(served, body, canary)
    about.failed, about.canary = found.failed, found.part
    serving.log(served, body, found)
    return msgspec.json.encode(found.document(served.spec.name))


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestRefusedError)
    found = as_json({"error": str(error)}, error.status)
    if error.status in (429, 503):
        found.headers["retry-after"] = "1"
    return found


async def _gone(request: Request, error: Exception) -> Response:
    return as_json({"error": "the client left before its body had come"}, 400)


async def _unknown(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    return as_json(
        {"error": f"nothing is at {request.method} {shown(request.url.path)}: see /openapi.json"}, status
    )
