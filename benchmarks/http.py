"""How fast a paged API is read, against a bare loop with the same HTTP library that discards the data."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import httpx

from benchmarks.figure import ROUNDS, Figure, ratio_of_medians
from evergreen.connections import Connection
from evergreen.sources.http.description import HttpSource
from evergreen.sources.http.read import read_http

PAGES = int(os.environ.get("BENCH_HTTP_PAGES", "1000"))
RECORDS = 1_000  # a page
LIMIT = 1 / 0.8  # at least 80 % of the bare loop's rate
# The server computes nothing while it serves: it has a few bodies, and adds each page's cursor.
SERVER = """
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit
pages, size = int(sys.argv[1]), int(sys.argv[2])

def record(n):
    return {"id": n, "rented_at": f"2024-{n % 12 + 1:02}-{n % 28 + 1:02}T{n % 24:02}:{n % 60:02}:00Z",
            "station": f"station {n % 977}", "distance": n % 9973 / 7, "member": n % 3 == 0,
            "bike": f"{n * 2654435761 % 2**32:08x}", "note": None if n % 10 else "returned late"}

bodies = [json.dumps([record(n) for n in range(k * size, (k + 1) * size)])[:-1].encode() for k in range(16)]

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self):
        page = int(parse_qs(urlsplit(self.path).query).get("cursor", ["0"])[0])
        more = json.dumps(str(page + 1) if page + 1 < pages else None).encode()
        body = b'{"next": ' + more + b', "data": ' + bodies[page % len(bodies)] + b"]}"
        self.send_response(200)
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
            bare, read = [], []
            for _ in range(ROUNDS):
                bare.append(_seconds(_bare, address))
                read.append(_seconds(_read, address))
        finally:
            server.terminate()
    name = f"read {PAGES * RECORDS:,} records of an HTTP API / a bare httpx loop"
    return [Figure(name, ratio_of_medians(read, bare), "x", LIMIT)]


def _seconds(run: object, address: str) -> float:
    assert callable(run)
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


if __name__ == "__main__":
    print(json.dumps([figure.to_dict() for figure in measure()], indent=2))
