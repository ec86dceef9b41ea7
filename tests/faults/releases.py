"""Releases of a model in processes and threads that are killed, cut off, or race one another.

What is stored is signed, and every signature is required: a version that is whole and right is one that
`Registry.read` gives every file of, and whose signature is checked.
"""

from __future__ import annotations

import functools
import json
import queue
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from evergreen.connections import Connection
from evergreen.errors import NotFoundError
from evergreen.registry.history import Event, fold
from evergreen.registry.ids import as_of_version
from evergreen.registry.registry import Registry
from evergreen.registry.signature import Keys, Signatures
from evergreen.storage import Storage
from tests.faults.forks import Forks
from tests.faults.s3_proxy import Call

PIPELINE = "bikes"
SIZE = 100_000  # bytes of a model: its upload takes as long as the other calls
FILES = ("model.skops", "metrics.json", "golden.parquet", "card.html")

Work = Literal["release", "rollback", "clean"]


@functools.cache
def new_key() -> str:
    """A private key in PEM, the same for the whole run of the tests."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def registry_of(storage: Storage, key: str) -> Registry:
    """The registry in a store, which signs and requires signatures."""
    connection = Connection("signing", "generic", password=key)
    return Registry(storage.child(PIPELINE), PIPELINE, Signatures(lambda: Keys.of(connection), required=True))


def files_of(version: str, attempt: int) -> dict[str, bytes]:
    """The files of a version: each attempt to train it gives other bytes."""
    small = {name: f"{version} {name} {attempt}".encode() for name in FILES[1:]}
    return {FILES[0]: bytes([attempt % 256]) * SIZE, **small}


def release(registry: Registry, version: str, attempt: int) -> Event:
    """Commit and promote a version, as the training stage does."""
    registry.commit(version, files_of(version, attempt))
    return registry.promote(version, as_of_version(version), {"attempt": attempt})


def phase_of(call: Call) -> str:
    """What a release, a rollback or a cleaning is at, told by a call that it makes to the S3 server."""
    if call.method == "PUT" and f"/{PIPELINE}/" in call.key:
        ends = {"model.sig": "signature", "manifest.json": "manifest", "champion.json": "pointer"}
        if "/history/" in call.key:
            return "history"
        return ends.get(call.key.rpartition("/")[2], "probe" if "/.probe/" in call.key else "upload")
    return "deleting" if "delete" in call.query else "looking"


@dataclass(frozen=True)
class ReleaseJob:
    """What an attempt is to do; `prefix` is the store's."""

    prefix: str
    work: Work
    version: str = ""
    attempt: int = 0


class ReleaseForks(Forks):
    """Runs release jobs in processes of their own."""

    program = "tests.faults.warm_releases"

    def __init__(self, endpoint: str, bucket: str, key: str, folder: Path) -> None:
        self._setup = {"endpoint": endpoint, "bucket": bucket, "key": key}
        self.temporary = folder / "tmp"
        self._log = folder / "log"
        self._events = queue.SimpleQueue()


def check_pointer(storage: Storage, key: str) -> list[str]:
    """What is wrong with what the pointer names, as a program sees it that reads only the pointer."""
    try:
        pointer = json.loads(storage.child(PIPELINE).read("champion.json").body)
    except NotFoundError:
        return []
    registry, version = registry_of(storage, key), pointer["version"]
    problems = []
    try:
        for name in FILES:
            registry.read(version, name)  # the model's by the signature, which is over all digests
    except Exception as error:  # noqa: BLE001 - whatever it is, the test must hear of it
        problems.append(f"the pointer names {version}: {error}")
    return problems


def check_history(storage: Storage, key: str) -> list[str]:
    """What is wrong with the whole store: gaps, doubles, a pointer that is not the fold, damaged versions."""
    registry = registry_of(storage, key)
    problems = registry.verify()
    events = registry.history()
    if [event.seq for event in events] != list(range(1, len(events) + 1)):
        problems.append(f"the numbers of the events are {[event.seq for event in events]}")
    promoted = [event.version for event in events if event.kind == "promoted"]
    if len(promoted) != len(set(promoted)):
        problems.append(f"promoted twice: {_doubles(promoted)}")
    if registry.force() != fold(events):
        problems.append("what is in force does not follow from the history")
    return problems


def _doubles(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})
