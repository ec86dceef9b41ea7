"""A real HTTP server on 127.0.0.1 that answers as it was told, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tenacity import wait_none

from evergreen.connections import Connection
from evergreen.sources.http import read as http


@dataclass(frozen=True)
class Answer:
    """One answer: `promised` is the Content-Length if it is not the body's; `after` the seconds it takes."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    promised: int | None = None
    after: float = 0


@dataclass
class Api:
    """Answers in the order of `script`; `asked` holds path, parameters and headers of every request,
    `bodies` those of every POST."""

    address: str = ""
    script: list[Answer] = field(default_factory=list)
    asked: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def will(self, *answers: Answer | Any) -> None:
        """Queue answers; anything but an `Answer` is sent as a JSON document."""
        for answer in answers:
            self.script.append(
                answer if isinstance(answer, Answer) else Answer(body=json.dumps(answer).encode())
            )

    def connection(self, **changes: Any) -> Connection:
        values = {
            "conn_id": "weather_api",
            "conn_type": "http",
            "host": self.address,
            "password": "s3cret-key",
            "extra": {"api_key_header": "X-API-Key"},
        }
        return Connection(**{**values, **changes})


def _serve(api: Api) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            params = {name: values[0] for name, values in parse_qs(url.query).items()}
            api.asked.append((url.path, params, dict(self.headers)))
            answer = api.script.pop(0) if api.script else Answer(418, b"nothing was scripted")
            time.sleep(answer.after)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            promised = len(answer.body) if answer.promised is None else answer.promised
            self.send_header("Content-Length", str(promised))
            self.end_headers()
            self.wfile.write(answer.body)
            self.close_connection = promised != len(answer.body)

        def do_POST(self) -> None:
            api.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """The server, with the pauses between attempts taken out (those that `Retry-After` asks for stay)."""
    monkeypatch.setattr(http, "BACKOFF", wait_none())
    api = Api()
    server = _serve(api)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    api.address = f"http://127.0.0.1:{server.server_address[1]}"
    yield api
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def answer() -> type[Answer]:
    """The class of a scripted answer."""
    return Answer
