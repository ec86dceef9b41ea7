"""Several processes write to one registry on a real S3 server."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from evergreen.registry.history import Kind
from evergreen.registry.registry import Registry
from evergreen.storage import Storage

NEW = "2011-05-01-bbbb"

WRITER = """
import sys
from evergreen.registry.registry import Registry
from evergreen.storage import Storage

registry = Registry(Storage.open().child("bikes"), "bikes")
print("ready", flush=True)
sys.stdin.readline()
for version in sys.argv[1:]:
    registry.commit(version, {"model.skops": b"model"})
    registry.promote(version, version[:10], {})
"""


def registry_of(storage: Storage) -> Registry:
    return Registry(storage.child("bikes"), "bikes")


def test_promotions_of_several_processes_leave_no_gap_and_lose_none(storage: Storage):
    versions = [[f"2011-{month:02d}-{day:02d}-v" for day in range(1, 7)] for month in range(1, 5)]
    write_at_once(storage, versions)
    registry = registry_of(storage)
    events = registry.history()
    assert [event.seq for event in events] == list(range(1, 25))
    assert sorted(event.version for event in events) == sorted(
        version for mine in versions for version in mine
    )
    assert json.loads(storage.read("bikes/champion.json").body)["seq"] == 24
    assert registry.champion() == "2011-04-06-v"
    assert registry.verify() == []


def test_one_version_from_several_processes_is_promoted_once(storage: Storage):
    write_at_once(storage, [[NEW]] * 4)
    (event,) = registry_of(storage).history()
    assert (event.kind, event.version) == (Kind.PROMOTED, NEW)
    assert registry_of(storage).verify() == []


def write_at_once(storage: Storage, versions: list[list[str]]) -> None:
    environment = {
        **os.environ,
        "EVERGREEN_STORAGE": storage.uri(),
        "AWS_ENDPOINT_URL": storage.credentials.endpoint_url or "",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    command = [sys.executable, "-c", WRITER]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    writers = [subprocess.Popen([*command, *mine], env=environment, **pipes) for mine in versions]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n", writer.stderr.read()
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        _, complaint = writer.communicate(timeout=120)
        assert writer.returncode == 0, complaint
