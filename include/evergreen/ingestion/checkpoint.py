"""The checkpoint of a read, stored in the staging of its run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from evergreen.errors import IntegrityError
from evergreen.sources.checkpoint import Saved
from evergreen.staging import Staging


class StagedCheckpoint:
    """A checkpoint below `source_<name>/` in a run's staging.

    Parts are objects named by their digest; `checkpoint.json`, written after them, lists those that count.
    So a killed read, or two tasks that read at the same time, never leave a mixture of parts.
    """

    def __init__(self, staging: Staging, source_name: str) -> None:
        self._staging = staging
        self._folder = f"source_{source_name}"
        self._name = f"{self._folder}/checkpoint.json"
        self._parts: list[str] = []

    def load(self) -> Saved | None:
        """The last checkpoint, or None. A damaged part raises `IntegrityError` when it is read."""
        kept = self._staging.read_json(self._name) if self._staging.exists(self._name) else None
        if kept is None:
            return None
        self._parts = list(kept["parts"])
        return Saved(kept["state"], (self._part(digest) for digest in kept["parts"]))

    def save(self, part: bytes, state: Mapping[str, Any]) -> None:
        """Store another part of the rows, and the state after it."""
        if part:
            digest = hashlib.sha256(part).hexdigest()
            self._staging.write_bytes(f"{self._folder}/{digest}", part)
            self._parts.append(digest)
        self._staging.write_json(self._name, {"parts": self._parts, "state": state})

    def clear(self) -> None:
        """Drop the checkpoint; its parts are deleted with the run's staging."""
        self._parts = []
        if self._staging.exists(self._name):
            self._staging.write_json(self._name, None)

    def _part(self, digest: str) -> bytes:
        part = self._staging.read_bytes(f"{self._folder}/{digest}")
        if hashlib.sha256(part).hexdigest() != digest:
            raise IntegrityError(
                f"staged '{self._folder}/{digest}' is damaged: clear the run from its first task"
            )
        return part
