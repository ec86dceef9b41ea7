"""The models of one pipeline in the storage: versions, their history, and the champion.

A version is committed by its manifest, written last and once. `history/<seq>.json` is the truth about what
was promoted, refused and rolled back; `champion.json` is its fold, so a writer that dies between the two
leaves nothing wrong, and the next writer moves the pointer on.
"""

from __future__ import annotations

import getpass
import os
import random
import re
import socket
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from evergreen.errors import ConflictError, EvergreenError, IntegrityError, NotFoundError, UnavailableError
from evergreen.registry.history import Event, Force, Kind, fold, last_word
from evergreen.registry.manifest import FileDigest, Manifest
from evergreen.registry.model_file import load_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evergreen.storage import Storage

MODEL = "model.skops"
_MANIFEST = "manifest.json"
_POINTER = "champion.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ATTEMPTS = 100


class Registry:
    """The models of `pipeline`; `storage` is already at the pipeline's folder."""

    def __init__(self, storage: Storage, pipeline: str) -> None:
        self._storage = storage
        self._pipeline = pipeline
        self._manifests: dict[str, Manifest] = {}

    # versions

    def has(self, version: str) -> bool:
        """Whether the version is committed."""
        return version in self._manifests or self._storage.exists(_file_key(version, _MANIFEST))

    def versions(self) -> list[str]:
        """The committed versions, newest as_of first, and where those are equal the latest trained first."""
        keys = self._storage.list("models/")
        found = {key.split("/")[1] for key in keys if key.endswith(f"/{_MANIFEST}") and key.count("/") == 2}
        known = {event.version: -event.seq for event in reversed(self.history())}
        by_event = sorted(found, key=lambda version: (known.get(version, float("-inf")), version))
        return sorted(by_event, key=as_of_version, reverse=True)

    def files(self, version: str) -> dict[str, FileDigest]:
        """The version's files and their digests; raises `NotFoundError` if it is not committed."""
        return dict(self._manifest(version).files)

    def commit(self, version: str, files: Mapping[str, bytes]) -> bool:
        """Store a version; False if it was there already, and then nothing is written.

        No file is ever written over, since another run may be committing the same version at this moment: one
        that is there already, which is this version's too, is taken into the manifest as it is. So the
        manifest always tells the truth about what is stored, whoever wins and wherever a run dies.
        """
        for name in (version, *files):
            if not _NAME.fullmatch(name) or name == _MANIFEST:
                raise ValueError(f"{self._pipeline}: '{name}' cannot name a version or a file of one")
        if self.has(version):
            return False
        stored = {name: self._create_or_adopt(version, name, body) for name, body in files.items()}
        manifest = Manifest(version, stored)
        try:
            self._storage.create(_file_key(version, _MANIFEST), manifest.to_json())
        except ConflictError:
            return False
        return True

    def read(self, version: str, name: str) -> bytes:
        """A file of a version, checked against the manifest.

        Raises `NotFoundError` if there is no such version or file, `IntegrityError` if one bit differs.
        """
        manifest = self._manifest(version)
        if name not in manifest.files:
            raise NotFoundError(
                f"{self._pipeline}: version {version} has no file '{name}', only {', '.join(manifest.files)}"
            )
        try:
            return manifest.check(name, self._storage.read(_file_key(version, name)).body)
        except NotFoundError:
            problem = f"'{name}' is gone"
        except IntegrityError as error:
            problem = str(error)
        raise IntegrityError(
            f"{self._pipeline}: version {version}: {problem}: it is not loaded; restore the file, or "
            f"withdraw the version: evergreen models rollback {self._pipeline}"
        )

    def load(self, version: str) -> Any:
        """The version's estimator, whose file is checked before a byte of it is interpreted.

        Raises `NotFoundError` or `IntegrityError`.
        """
        data = self.read(version, MODEL)
        try:
            return load_model(data)
        except IntegrityError as error:
            raise IntegrityError(f"{self._pipeline}: version {version}: {error}") from error

    # history

    def history(self) -> list[Event]:
        """All events, oldest first."""
        return self._events_after(0)

    def champion(self, as_of: str | None = None) -> str | None:
        """The version in force for the partition `as_of`, or the newest champion; None if there is none.

        It is the promoted version, not rolled back, with the newest as_of that is not after the partition.
        """
        return self.force().champion(as_of)

    def force(self) -> Force:
        """Which version is in force for which partitions now."""
        force, _ = self._pointer()
        return fold(self._events_after(force.seq), force)

    def promote(self, version: str, as_of: str, reason: dict[str, Any]) -> Event:
        """Put a committed version in force from partition `as_of` on; once it is, the same event again.

        Raises `NotFoundError` if it is not committed, `StorageError` if the store cannot be trusted with it.
        """
        self._manifest(version)

        def decide(events: list[Event], force: Force) -> Event:
            if force.holds(version):
                return next(e for e in reversed(events) if e.version == version and e.kind != Kind.REFUSED)
            return _event(force, Kind.PROMOTED, version, as_of, force.champion(as_of), reason=reason)

        return self._append(decide)

    def refuse(self, version: str, as_of: str, reason: dict[str, Any]) -> Event:
        """Record that the gate refused a committed version; once it has, the same event again."""
        self._manifest(version)

        def decide(events: list[Event], force: Force) -> Event:
            last = last_word(events, version)
            if last and last.kind is Kind.REFUSED:
                return last
            return _event(force, Kind.REFUSED, version, as_of, force.champion(as_of), reason=reason)

        return self._append(decide)

    def rollback(self, to: str | None = None) -> Event:
        """Withdraw the newest champion; `to`, or else the one before it, is in force from there on.

        With `to` in force already nothing happens, and the event that put it there is returned. Without `to`
        each call withdraws one version more. Raises `NotFoundError` where there is nothing to go back to.
        """
        withdrawn = self.force().champion()

        def decide(events: list[Event], force: Force) -> Event:
            last = last_word(events, to or withdrawn or "")
            done = force.champion() == to if to else not force.holds(withdrawn or "")
            return last if last and done else self._rolled_back(events, force, to)

        return self._append(decide)

    def verify(self) -> list[str]:
        """What is wrong with what is stored, a line each; nothing is changed.

        Files that differ from their manifest, gaps in the history, a pointer that is not the fold of the
        history, and versions the history names that are missing.
        """
        keys = self._storage.list("history/")
        problems = [
            f"history has no event {seq}: restore {_event_key(seq)} from a backup"
            for seq in range(1, len(keys) + 1)
            if _event_key(seq) not in keys
        ]
        events = self.history()
        problems += self._pointer_problems(events)
        versions = self.versions()
        lost = sorted({event.version for event in events} - set(versions))
        problems += [f"version {version} is in the history and missing" for version in lost]
        for version in versions:
            problems += self._file_problems(version)
        return problems

    # how

    def _create_or_adopt(self, version: str, name: str, body: bytes) -> FileDigest:
        key = _file_key(version, name)
        try:
            self._storage.create(key, body)
        except ConflictError:
            body = self._storage.read(key).body
        return FileDigest.of(body)

    def _manifest(self, version: str) -> Manifest:
        if version not in self._manifests:
            try:
                body = self._storage.read(_file_key(version, _MANIFEST)).body
            except NotFoundError:
                raise NotFoundError(
                    f"{self._pipeline}: no version {version}: see evergreen models list {self._pipeline}"
                ) from None
            with self._readable(f"the manifest of version {version}"):
                self._manifests[version] = Manifest.from_json(body)
        return self._manifests[version]

    def _events_after(self, seq: int) -> list[Event]:
        keys = self._storage.list("history/", after=_event_key(seq))
        with ThreadPoolExecutor(max_workers=8) as pool:
            bodies = list(pool.map(lambda key: self._storage.read(key).body, keys))
        events = []
        for key, body in zip(keys, bodies, strict=True):
            with self._readable(key):
                events.append(Event.from_json(body))
        return events

    def _pointer(self) -> tuple[Force, str | None]:
        try:
            stored = self._storage.read(_POINTER)
        except NotFoundError:
            return Force(), None
        with self._readable(_POINTER):
            return Force.from_json(stored.body), stored.etag

    def _append(self, decide: Callable[[list[Event], Force], Event]) -> Event:
        """Add the event that `decide` makes of the history; it returns an old one if there is nothing to add.

        Whoever loses the race for a number reads again and decides again.
        """
        for attempt in range(_ATTEMPTS):
            pointer, _ = self._pointer()
            events = self.history()
            force = fold(events)
            if pointer.seq > force.seq:
                raise IntegrityError(
                    f"{self._pipeline}: the history ends at event {force.seq}, {_POINTER} knows event "
                    f"{pointer.seq}: restore history/ in {self._storage.uri()} from a backup"
                )
            event = decide(events, force)
            if event.seq <= force.seq:
                self._move_pointer()
                return event
            if not events:
                self._storage.probe()
            try:
                self._storage.create(_event_key(event.seq), event.to_json())
            except ConflictError:
                _wait(attempt)
                continue
            self._move_pointer()
            return event
        raise UnavailableError(f"{self._pipeline}: too many writers of its history: run the stage again")

    def _move_pointer(self) -> None:
        for attempt in range(_ATTEMPTS):
            force, etag = self._pointer()
            events = self._events_after(force.seq)
            if not events:
                return
            body = fold(events, force).to_json()
            try:
                if etag is None:
                    self._storage.create(_POINTER, body)
                else:
                    self._storage.replace(_POINTER, body, etag)
            except ConflictError:
                _wait(attempt)
        raise UnavailableError(f"{self._pipeline}: too many writers of {_POINTER}: run the stage again")

    def _rolled_back(self, events: list[Event], force: Force, to: str | None) -> Event:
        withdrawn, start = force.champion(), force.start
        if withdrawn is None or start is None:
            raise NotFoundError(f"{self._pipeline}: nothing to roll back: no version was promoted yet")
        if to is None:
            earlier = [version for _, version in force.stack if version != withdrawn]
            if not earlier:
                raise NotFoundError(
                    f"{self._pipeline}: nothing to roll back to: {withdrawn} is the only version in force; "
                    "train another, or name one that was promoted with --to"
                )
            to = earlier[-1]
        self._manifest(to)
        if not any(event.kind is Kind.PROMOTED and event.version == to for event in events):
            raise NotFoundError(
                f"{self._pipeline}: {to} was never promoted: evergreen models promote {self._pipeline} {to}"
            )
        # Never before its own as_of: no reign of a champion starts before that of one promoted earlier.
        return _event(force, Kind.ROLLED_BACK, to, start, withdrawn, reason={})

    def _pointer_problems(self, events: list[Event]) -> list[str]:
        try:
            force, etag = self._pointer()
        except IntegrityError as error:
            return [str(error)]
        if etag is None and not events:
            return []
        if force == fold(events):
            return []
        champion = fold(events).champion()
        if force == fold(event for event in events if event.seq <= force.seq):
            return [
                f"{_POINTER} is at event {force.seq} of {len(events)}, for a writer was stopped: it is read "
                f"right, and evergreen models promote {self._pipeline} {champion} moves it on"
            ]
        return [
            f"{_POINTER} does not follow from the history: delete it in {self._storage.uri()}, the next "
            "promotion writes it again"
        ]

    def _file_problems(self, version: str) -> list[str]:
        problems = []
        try:
            for name in self.files(version):
                self.read(version, name)
        except EvergreenError as error:
            problems.append(str(error))
        return problems

    @contextmanager
    def _readable(self, what: str) -> Iterator[None]:
        try:
            yield
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise IntegrityError(
                f"{self._pipeline}: {what} in {self._storage.uri()} cannot be read ({type(error).__name__}): "
                "restore it from a backup"
            ) from None


def as_of_version(version: str) -> str:
    """The as_of that a version's id starts with: `2011-04-01` of `2011-04-01-5f3a…`."""
    return version.rpartition("-")[0]


def _file_key(version: str, name: str) -> str:
    return f"models/{version}/{name}"


def _event_key(seq: int) -> str:
    return f"history/{seq:08d}.json"


def _event(
    force: Force, kind: Kind, version: str, as_of: str, replaces: str | None, *, reason: dict[str, Any]
) -> Event:
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return Event(force.seq + 1, kind, version, as_of, replaces, reason, at, _author())


def _wait(attempt: int) -> None:
    time.sleep(random.uniform(0, min(0.02 * 2**attempt, 1.0)))  # noqa: S311 - spreads writers, hides nothing


def _author() -> str:
    """Who writes, for people to read: the DAG run that Airflow says it is, or the user at this host."""
    dag, run = os.environ.get("AIRFLOW_CTX_DAG_ID"), os.environ.get("AIRFLOW_CTX_DAG_RUN_ID")
    if dag and run:
        return f"{dag} {run}"
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"
