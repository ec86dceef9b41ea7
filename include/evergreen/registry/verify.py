"""Checks of all that is stored of a pipeline's models: a line for each problem; nothing is changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from evergreen.errors import EvergreenError, IntegrityError
from evergreen.registry.event_log import POINTER, EventLog
from evergreen.registry.history import Event, Force, fold, removal
from evergreen.registry.signature import SIGNATURE
from evergreen.registry.versions import MANIFEST, Versions, file_key

if TYPE_CHECKING:
    from evergreen.storage import Listed, Storage

# The public command overlooks these too.
_OVERLOOKED = (".git", ".gitattributes", ".github", ".gitignore")


class Verification:
    """One check of everything below a pipeline's folder that belongs to its models."""

    def __init__(self, storage: Storage, pipeline: str, versions: Versions) -> None:
        self._storage = storage
        self._pipeline = pipeline
        self._versions = versions

    def problems(self) -> list[str]:
        """Gaps in the history, a pointer or chapter that differs from it, damaged or lost versions, strays.

        A version that an event removed is no problem, nor is a folder without a manifest, which a commit that
        died or has not ended leaves.
        """
        log = EventLog(self._storage, self._pipeline, singly=True)
        self._versions.forget()
        pointer, etag = log.found()
        problems: list[str] = []
        try:
            events = log.whole(pointer)
            problems += self._pointer(pointer, etag, events, log.lie(pointer, events))
        except IntegrityError as error:
            problems.append(str(error))
        try:
            events = log.events()
        except IntegrityError:
            return problems
        problems += log.chapter_problems(events)
        folders = self._versions.folders()
        present = {
            version
            for version, files in folders.items()
            if file_key(version, MANIFEST) in [file.key for file in files]
        }
        named = {event.version for event in events if not removal(events, event.version)}
        problems += [
            f"version {version} is in the history and missing: restore {file_key(version, '')} from a backup"
            for version in sorted(named - present)
        ]
        for version in sorted(present, reverse=True):
            problems += self.of_version(version, folders)
        problems += self._loose(folders)
        return problems

    def of_version(self, version: str, folders: Mapping[str, Sequence[Listed]]) -> list[str]:
        """What is wrong with one committed version: files, signature, files that its manifest lacks."""
        problems = []
        try:
            for name in self._versions.manifest(version).files:
                self._versions.read(version, name)
            if self._signature_matters(version, folders):
                self._versions.check_signature(version)
            problems += self._orphans(version, folders.get(version, ()))
        except EvergreenError as error:
            problems.append(str(error))
        return problems

    def _signature_matters(self, version: str, folders: Mapping[str, Sequence[Listed]]) -> bool:
        if not self._versions.signed:
            return False
        there = file_key(version, SIGNATURE) in [file.key for file in folders.get(version, ())]
        return there or self._versions.must_be_signed

    def _orphans(self, version: str, files: Sequence[Listed]) -> list[str]:
        listed = (MANIFEST, SIGNATURE, *self._versions.manifest(version).files)
        named = {file_key(version, name) for name in listed}
        overlooked = tuple(file_key(version, name) for name in _OVERLOOKED)
        return [
            self._orphan(file.key)
            for file in files
            if file.key not in named
            and not any(file.key == name or file.key.startswith(f"{name}/") for name in overlooked)
        ]

    def _loose(self, folders: Mapping[str, Sequence[Listed]]) -> list[str]:
        return [
            self._orphan(file.key) for files in folders.values() for file in files if file.key.count("/") < 2
        ]

    def _orphan(self, key: str) -> str:
        return f"{key} belongs to no manifest: delete it in {self._storage.uri()}"

    def _pointer(
        self, pointer: Force | None, etag: str | None, events: list[Event], lie: str | None
    ) -> list[str]:
        force = fold(events)
        if (etag is None and not events) or pointer == force:
            return []
        if lie:
            return [lie]
        return [
            f"{POINTER} is at event {pointer.seq if pointer else 0} of {len(events)}, because a writer was "
            f"interrupted: it is read right, and evergreen models promote {self._pipeline} "
            f"{force.champion()} updates it"
        ]
