"""The HTTP application: predictions by the champions of some pipelines, probes and figures."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.requests import ClientDisconnect

from evergreen.serving.answer import Answer, answer, answer_directly
from evergreen.serving.arrow_answer import answer_stream
from evergreen.serving.arrow_stream import ARROW, read_stream
from evergreen.serving.body import Body, read_body
from evergreen.serving.canary import ServedCanary
from evergreen.serving.docs import add_docs
from evergreen.serving.entrance import About
from evergreen.serving.few import FEW
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
    async def predict(request: Request) -> Response:
        # Read here: to solve it as a parameter takes as long as the trees.
        pipeline: str = request.path_params["pipeline"]
        about: About = request.state.about
        served, canary = serving.answering(pipeline)
        about.pipeline, about.version = pipeline, served.version
        text = await read_request(request, serving.limits, ARROW)
        wanted = ARROW if ARROW in request.headers.get("accept", "") else JSON
        asked = _Asked(serving, served, canary, about, text, kind_of(request), wanted)
        if (said := asked.at_once()) is None:
            said = await serving.turns.run(asked.in_turn)
        return Response(said, 200 if about.failed < about.rows else 422, media_type=wanted)

    add_protocol(app, serving)
    add_docs(app, serving)
    return app


_SHORT = 2**14
"""Bytes of a body that may have few rows."""


@dataclass(frozen=True)
class _Asked:
    """A request for predictions: who answers it, its body, the media type of that, and the one wanted."""

    serving: Serving
    served: Served
    canary: ServedCanary | None
    about: About
    text: bytes = field(repr=False)
    kind: str
    wanted: str

    def at_once(self) -> bytes | None:
        """The answer to few rows, if it surely takes no longer than to hand them to a thread; else None."""
        direct = self.served.direct
        if direct is None or not direct.is_short or len(self.text) > _SHORT:
            return None
        found = self._directly(FEW)
        return None if found is None else self._told(found)

    def in_turn(self) -> bytes:
        """The answer; raises `RequestRefusedError`."""
        if (found := self._directly(self.serving.limits.rows)) is None:
            body = self._read()
            self.about.rows = self.about.failed = len(body.rows)
            found = answer(self.served, body, self.canary)
        return self._told(found)

    def _directly(self, most_rows: int) -> Answer | None:
        if self.canary or self.kind != JSON:
            return None
        return answer_directly(self.served, self.text, most_rows)

    def _read(self) -> Body:
        if self.kind == ARROW:
            return read_stream(self.text, self.serving.limits)
        return read_body(self.text, exact=self.served.types.exact, most_rows=self.serving.limits.rows)

    def _told(self, found: Answer) -> bytes:
        about = self.about
        about.rows, about.failed, about.canary = len(found.rows), found.failed, found.part
        self.serving.log(self.served, self._read, found)
        document = found.document(self.served.spec.name)
        return answer_stream(self.served, document) if self.wanted == ARROW else msgspec.json.encode(document)


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
