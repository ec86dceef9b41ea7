"""A file of OSV as the service that pip-audit asks, for machines that reach none.

The file is OSV's export of an ecosystem (`PyPI/all.zip`), or a folder with the same records as JSON or YAML,
as in a checkout of the Python Packaging Advisory Database.
"""

from __future__ import annotations

import json
import threading
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

Record = dict[str, Any]
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Database:
    """The records of one file, by the packages that they are about."""

    def __init__(self, records: list[Record]) -> None:
        self.count = len(records)
        self.newest = max((str(record.get("modified", "")) for record in records), default="")[:10]
        self._named: dict[str, list[Record]] = defaultdict(list)
        for record in records:
            for affected in record.get("affected", []):
                package = affected.get("package", {})
                if package.get("ecosystem") == "PyPI":
                    self._named[canonicalize_name(package["name"])].append(record)

    @classmethod
    def read(cls, path: Path) -> Database:
        """The records in a file or folder; ValueError where there is none."""
        records = list(_records(path))
        if not records:
            raise ValueError(f"{path} holds no record of OSV: give the file PyPI/all.zip of its export")
        return cls(records)

    def about(self, name: str, version: str) -> list[Record]:
        """The records by which this version of a package is affected."""
        named = self._named.get(canonicalize_name(name), [])
        unique = {record["id"]: record for record in named if not record.get("withdrawn")}
        return [record for record in unique.values() if affects(record, name, Version(version))]


def affects(record: Record, name: str, version: Version) -> bool:
    """Whether a record lists the version, or has it in a range that begins and has not ended."""
    for affected in record["affected"]:
        if canonicalize_name(affected["package"]["name"]) != canonicalize_name(name):
            continue
        if any(_version(each) == version for each in affected.get("versions", [])):
            return True
        for span in affected.get("ranges", []):
            if span["type"] == "ECOSYSTEM" and _within(span["events"], version):
                return True
    return False


@contextmanager
def serving(database: Database) -> Iterator[str]:
    """The address at which the database answers as OSV's service does, on this machine alone."""

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found = database.about(asked["package"]["name"], asked["version"])
            body = json.dumps({"vulns": found} if found else {}, default=str).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing of each request."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _records(path: Path) -> Iterator[Record]:
    if path.is_dir():
        for file in sorted([*path.rglob("*.json"), *path.rglob("*.yaml")]):
            yield from _parsed(file.name, file.read_bytes())
    else:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield from _parsed(name, archive.read(name))


def _parsed(name: str, body: bytes) -> Iterator[Record]:
    if name.endswith(".json"):
        found = json.loads(body)
    elif name.endswith(".yaml"):
        found = yaml.load(body, Loader=_LOADER)  # noqa: S506 - a safe loader, in C where it is built
    else:
        return
    if isinstance(found, dict) and "affected" in found:
        yield found


def _version(text: object) -> Version | None:
    try:
        return Version(str(text))
    except InvalidVersion:
        return None


def _within(events: list[dict[str, str]], version: Version) -> bool:
    """Whether the last event at or before the version is one that begins."""
    inside = False
    for event in events:
        kind, text = next(iter(event.items()))
        at = Version("0") if text == "0" else _version(text)
        if at is None:
            continue
        if kind == "introduced" and version >= at:
            inside = True
        elif (kind == "fixed" and version >= at) or (kind == "last_affected" and version > at):
            inside = False
    return inside
