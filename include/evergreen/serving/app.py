"""The HTTP application: predictions by the champions of some pipelines, probes and figures."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.requests import ClientDisconnect

from evergreen.serving.answer import Answer, answer
from evergreen.serving.arrow_answer import answer_stream
from evergreen.serving.arrow_stream import ARROW, read_stream
from evergreen.serving.body import Body, read_body
from evergreen.serving.canary import ServedCanary
from evergreen.serving.docs import add_docs
from evergreen.serving.entrance import About
from evergreen.serving.limits import Limits
from evergreen.serving.meters import CONTENT_TYPE
from evergreen.serving.protocol import add_protocol
from evergreen.serving.refused import RequestRefusedError
from evergreen.serving.schemas import PREDICT
from evergreen.serving.served import Served
from evergreen.serving.service import JSON, Serving, as_json, kind_of, read_request
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
    app = FastAPI(title=_TITLE, docs_url=None, redoc_url=None, openapi_url=None)
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
        return as_json(found, 200 if found["ready"] else 503)

    @app.get("/metrics", summary="Figures for Prometheus")
    async def metrics() -> Response:
        return Response(serving.meters.read(), media_type=CONTENT_TYPE)

    @app.post(
        PREDICT,
        summary="Predict raw rows by the champion, as a night would",
        openapi_extra={"requestBody": {"content": {JSON: {"schema": _BODY}, ARROW: {}}, "required": True}},
    )
    async def predict(pipeline: str, request: Request) -> Response:
        about: About = request.state.about
        served, canary = serving.answering(pipeline)
        about.pipeline, about.version = pipeline, served.version
        body = await read_request(request, serving.limits, ARROW)
        asked = _Asked(body, kind_of(request), ARROW if ARROW in request.headers.get("accept", "") else JSON)
        said = await serving.turns.run(_predicted, serving, served, canary, asked, about)
        return Response(said, 200 if about.failed < about.rows else 422, media_type=asked.wanted)

    add_protocol(app, serving)
    add_docs(app, serving)
    return app


@dataclass(frozen=True)
class _Asked:
    """The body of a request, the media type that it has, and the one that is wanted of its answer."""

    body: bytes
    kind: str
    wanted: str

    def read(self, served: Served, limits: Limits) -> Body:
        """What the body says; raises `RequestRefusedError`."""
        if self.kind == ARROW:
            return read_stream(self.body, limits)
        return read_body(self.body, exact=served.types.exact, most_rows=limits.rows)


def _predicted(
    serving: Serving, served: Served, canary: ServedCanary | None, asked: _Asked, about: About
) -> bytes:
    body = asked.read(served, serving.limits)
    about.rows = about.failed = len(body.rows)
    found: Answer = answer(served, body, canary)
    about.failed, about.canary = found.failed, found.part
    serving.log(served, body, found)
    document = found.document(served.spec.name)
    return answer_stream(served, document) if asked.wanted == ARROW else msgspec.json.encode(document)


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
    return as_json({"error": f"nothing is at {request.method} {shown(request.url.path)}: see /docs"}, status)
