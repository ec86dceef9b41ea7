"""The pages that tell people and programs what a server answers: `/docs` and `/openapi.json`."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response

from evergreen.pages.templates import template
from evergreen.serving.schemas import PREDICT, example, json_type, openapi, said_types
from evergreen.serving.served import Served
from evergreen.serving.service import Serving, as_json

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_KIND = "-H 'Content-Type: application/json'"
_HOST = re.compile(r"[A-Za-z0-9.-]+(:[0-9]+)?|\[[0-9a-fA-F:]+\](:[0-9]+)?")

_WORDS = {
    "date-time": "time with offset",
    "string": "text",
    "boolean": "true or false",
    "integer": "whole number",
}


def add_docs(app: FastAPI, serving: Serving) -> None:
    """Add the pages to an application."""

    @app.get("/docs", summary="What is served, for people", include_in_schema=False)
    async def docs(request: Request) -> Response:
        page = await serving.turns.run(_page, serving, _address(request))
        return Response(page, headers=_HEADERS, media_type="text/html")

    @app.get("/openapi.json", summary="What is served, for programs", include_in_schema=False)
    async def description() -> Response:
        return as_json(await serving.turns.run(openapi, app.openapi(), _all_served(serving)))


def _all_served(serving: Serving) -> list[Served]:
    states = (follower.state.served for follower in serving.followers.values())
    return [served for served in states if served is not None]


def _address(request: Request) -> str:
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        host = ":".join(map(str, request.scope["server"]))
    return f"{request.url.scheme}://{host}"


def _page(serving: Serving, address: str) -> str:
    conditions = serving.conditions()["pipelines"]
    found = {served.spec.name: _told(served, address) for served in _all_served(serving)}
    pipelines = [
        {"name": name, "spec": follower.pipeline.spec, "condition": conditions[name], **found.get(name, {})}
        for name, follower in serving.followers.items()
    ]
    return template(Path(__file__).parent, "docs.html.jinja").render(pipelines=pipelines)


def _told(served: Served, address: str) -> dict[str, Any]:
    """What the page says of a version that answers."""
    body = json.dumps(example(served))
    url = address + PREDICT.format(pipeline=served.spec.name)
    return {
        "columns": {column.name: _in_words(json_type(column.type)) for column in served.types.schema},
        "said": {name: _in_words(json_type(kind)) for name, kind in said_types(served).items()},
        "asked": served.asked.sentence,
        "way": served.way,
        "curl": f"curl -s {shlex.quote(url)} {_KIND} \\\n  -d {shlex.quote(body)}",
    }


def _in_words(schema: dict[str, Any]) -> str:
    if schema["type"] == "array":
        return f"list: {_in_words(schema['items'])}"
    if schema["type"] == "object":
        return ", ".join(f"{name} ({_in_words(inner)})" for name, inner in schema["properties"].items())
    kind: str = schema.get("format", schema["type"])
    return _WORDS.get(kind, kind)
