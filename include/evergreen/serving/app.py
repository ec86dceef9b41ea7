"""The HTTP application: predictions by the champions of some pipelines, probes and figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.requests import ClientDisconnect

from evergreen.serving.answer import Answer, answer
from evergreen.serving.body import read_body
from evergreen.serving.entrance import About
from evergreen.serving.follow import Follower
from evergreen.serving.limits import Limits, Turns, received
from evergreen.serving.meters import CONTENT_TYPE, Meters
from evergreen.serving.refused import RequestRefusedError
from evergreen.serving.served import Served
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


class Serving:
    """What the routes share: who follows which pipeline, the limits, the turns and the figures.

    A storage that is silent for more than `patience` seconds makes answers stale.
    """

    def __init__(self, followers: Mapping[str, Follower], limits: Limits, patience: float) -> None:
        self.followers, self.limits, self.patience = followers, limits, patience
        self.turns = Turns(limits)
        self.meters = Meters(followers)

    def served(self, pipeline: str) -> Served:
        """The version that answers for a pipeline now.

        Raises `RequestRefusedError`: 404 for a pipeline that is not served here, 503 while nothing answers.
        """
        follower = self.followers.get(pipeline)
        if follower is None:
            here = ", ".join(sorted(self.followers))
            raise RequestRefusedError(404, f"no pipeline '{shown(pipeline)}' is served here, only {here}")
        state = follower.state
        if state.served is None:
            why = state.problem or "its champion is being loaded"
            raise RequestRefusedError(503, f"{pipeline} is not served yet: {why}")
        return state.served

    def told(self, about: About) -> None:
        """Count a request that was answered."""
        self.meters.count(about.pipeline, about.version, about.status, about.seconds)
        if about.rows:
            self.meters.count_rows(about.pipeline, about.version, about.rows - about.failed, about.failed)

    def conditions(self) -> dict[str, dict[str, str | None]]:
        """How up to date each pipeline is, by name."""
        found: dict[str, dict[str, str | None]] = {}
        for name, follower in self.followers.items():
            state = follower.state
            version = state.served.version if state.served else None
            condition = state.condition(self.patience)
            found[name] = {"version": version, "champion": state.champion, "condition": condition}
            if state.problem:
                found[name]["problem"] = state.problem
        return found

    @property
    def ready(self) -> bool:
        """Whether something answers for each pipeline, be it stale."""
        return all(follower.state.served is not None for follower in self.followers.values())


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

    @app.get("/ready", summary="Whether each pipeline is answered for, and how up to date")
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
        served = serving.served(pipeline)
        about.pipeline, about.version = pipeline, served.version
        text = await read_request(request, serving.limits)
        document = await serving.turns.run(_predicted, serving.limits, served, text, about)
        return Response(document, 200 if about.failed < about.rows else 422, media_type="application/json")

    return app


async def read_request(request: Request, limits: Limits) -> bytes:
    """The body of a request in JSON; raises `RequestRefusedError` as `received` does, and 415 for another."""
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RequestRefusedError(415, f"the body is {shown(kind)}: send JSON, as application/json")
    return await received(request.stream(), request.headers.get("content-length"), limits)


def as_json(document: Any, status: int = 200) -> Response:
    """The document as an answer."""
    return Response(msgspec.json.encode(document), status, media_type="application/json")


def _predicted(limits: Limits, served: Served, text: bytes, about: About) -> bytes:
    body = read_body(text, exact=served.types.exact, most_rows=limits.rows)
    about.rows = about.failed = len(body.rows)
    found: Answer = answer(served, body)
    about.failed = found.failed
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
