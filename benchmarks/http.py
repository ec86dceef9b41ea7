"""How fast a paged API is read, against a bare loop with the same HTTP library that discards the data.

The API is asked by GET, and by POST with its cursor in the body and a token of OAuth 2 (client credentials),
which the bare loop asks for too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable

import httpx

from benchmarks.figure import ROUNDS, Figure, ratio_of_medians
from evergreen.connections import Connection
from evergreen.sources.http.description import HttpSource
from evergreen.sources.http.read import read_http

PAGES = int(os.environ.get("BENCH_HTTP_PAGES", "1000"))
RECORDS = 1_000  # a page
LIMIT = 1 / 0.8  # at least 80 % of the bare loop's rate
# The server computes little while it serves: it has a few bodies, and adds a page's cursor and first record.
SERVER = """
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit
pages, size = int(sys.argv[1]), int(sys.argv[2])

def record(n):
    return {"id": n, "rented_at": f"2024-{n % 12 + 1:02}-{n % 28 + 1:02}T{n % 24:02}:{n % 60:02}:00Z",
            "station": f"station {n % 977}", "distance": n % 9973 / 7, "member": n % 3 == 0,
            "bike": f"{n * 2654435761 % 2**32:08x}", "note": None if n % 10 else "returned late"}

rest = [[record(n) for n in range(k * size + 1, (k + 1) * size)] for k in range(16)]
bodies = [json.dumps(records)[1:-1].encode() for records in rest]

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self):
        self.answer(parse_qs(urlsplit(self.path).query).get("cursor", ["0"])[0])

    def do_POST(self):
        said = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/token":
            token = {"access_token": "t", "token_type": "Bearer", "expires_in": 3600}
            return self.send(json.dumps(token).encode())
        if self.headers["Authorization"] != "Bearer t":
            return self.send(b"{}", 401)
        self.answer(json.loads(said).get("cursor", "0"))

    def answer(self, cursor):
        page = int(cursor)
        first = json.dumps(record(page * size)).encode()
        more = json.dumps(str(page + 1) if page + 1 < pages else None).encode()
        self.send(b'{"next": ' + more + b', "data": [' + first + b", " + bodies[page % len(bodies)] + b"]}")

    def send(self, body, status=200):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_):
        pass

server = HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


def measure() -> list[Figure]:
    """The time to read all pages to rows, over that of the bare loop; the two take turns."""
    command = [sys.executable, "-c", SERVER, str(PAGES), str(RECORDS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = f"http://127.0.0.1:{int(server.stdout.readline())}"
            spent: dict[str, list[float]] = {
                run.__name__: [] for run in (_bare, _read, _bare_post, _read_post)
            }
            for _ in range(ROUNDS):
                for run in (_bare, _read, _bare_post, _read_post):
                    spent[run.__name__].append(_seconds(run, address))
        finally:
            server.terminate()
    records = f"{PAGES * RECORDS:,} records of an HTTP API"
    get = ratio_of_medians(spent["_read"], spent["_bare"])
    post = ratio_of_medians(spent["_read_post"], spent["_bare_post"])
    return [
        Figure(f"read {records} / a bare httpx loop", get, "x", LIMIT),
        Figure(f"read {records} by POST with OAuth / a bare httpx loop", post, "x", LIMIT),
    ]


def _seconds(run: Callable[[str], int], address: str) -> float:
    began = time.perf_counter()
    records = run(address)
    spent = time.perf_counter() - began
    assert records == PAGES * RECORDS, records
    return spent


def _bare(address: str) -> int:
    records, params = 0, {}
    with httpx.Client(base_url=address) as client:
        while True:
            answer = client.get("/v1/rentals", params=params).json()
            records += len(answer["data"])
            if answer["next"] is None:
                return records
            params = {"cursor": answer["next"]}


def _read(address: str) -> int:
    source = HttpSource(conn_id="api", path="/v1/rentals", next="cursor", time_column="rented_at")
    rows = read_http(source, Connection("api", "http", address), "2024-01-01")
    return sum(batch.num_rows for batch in rows)


def _bare_post(address: str) -> int:
    records, body = 0, {"size": RECORDS}
    with httpx.Client(base_url=address) as client:
        token = client.post("/token", data={"grant_type": "client_credentials"}).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        while True:
            answer = client.post("/v1/rentals", json=body).json()
            records += len(answer["data"])
            if answer["next"] is None:
                return records
            body["cursor"] = answer["next"]


def _read_post(address: str) -> int:
    paging = {"cursor": {"in": "body", "param": "cursor", "path": "next"}}
    source = HttpSource.model_validate(
        {
            "conn_id": "api",
            "path": "/v1/rentals",
            "method": "POST",
            "body": {"size": RECORDS},
            "paging": paging,
            "time_column": "rented_at",
        }
    )
    oauth = {"auth": "oauth2_client_credentials", "token_url": f"{address}/token"}
    connection = Connection("api", "http", address, login="id", password="secret", extra=oauth)  # noqa: S106
    rows = read_http(source, connection, "2024-01-01")
    return sum(batch.num_rows for batch in rows)


if __name__ == "__main__":
    print(json.dumps([figure.to_dict() for figure in measure()], indent=2))
