"""The versions of a pipeline's model in the storage: folders that never change once they have a manifest.

A commit writes files, signature, manifest, in this order. The manifest, created last and once, is the commit;
it names the files and their digests. The signature covers the manifest too, though it is stored before it,
so no version is ever committed but not yet signed. A version without a signature stays unsigned: a later
signature would vouch for bytes that somebody else may have put there.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar

from evergreen.errors import ConflictError, IntegrityError, NotFoundError
from evergreen.readable import readable
from evergreen.registry.manifest import FileDigest, Manifest
from evergreen.registry.signature import SIGNATURE
from evergreen.together import together

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evergreen.registry.signature import Signatures
    from evergreen.storage import Listed, Storage

MODEL, EVALUATED = "model.skops", "evaluated.skops"
"""The model that serves, and where there is one, its copy that was fit without the hold-out."""

FEATURES = "features.json"
"""The description of the features that the model was trained on."""

METRICS, GATE, LINEAGE = "metrics.json", "gate.json", "lineage.json"
"""What was measured of it, what the gate said, and what it comes from."""

EXPLANATION, CARD = "explanation.json", "card.html"
"""What its figures are drawn from, and its model card."""

MANIFEST = "manifest.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
Content = TypeVar("Content")
_HASHED_ASIDE = 2**20  # bytes from which on a file is hashed while it is sent


@dataclass(frozen=True)
class _Committed:
    """A manifest and the SHA-256 of its own bytes."""

    manifest: Manifest
    sha256: str

    @classmethod
    def of(cls, manifest: Manifest, body: bytes) -> _Committed:
        return cls(manifest, FileDigest.of(body).sha256)

    @property
    def digests(self) -> dict[str, str]:
        """What a signature covers: the SHA-256 of every file by name, the manifest's too."""
        files = {name: digest.sha256 for name, digest in self.manifest.files.items()}
        return {**files, MANIFEST: self.sha256}


class Versions:
    """The versions of `pipeline`; `storage` is already at the pipeline's folder."""

    def __init__(self, storage: Storage, pipeline: str, signatures: Signatures | None = None) -> None:
        self._storage = storage
        self._pipeline = pipeline
        self._signatures = signatures
        self._known: dict[str, _Committed] = {}
        self._rightly_signed: set[str] = set()

    @property
    def signed(self) -> bool:
        """Whether there are keys to check signatures with."""
        return self._signatures is not None

    @property
    def must_be_signed(self) -> bool:
        """Whether a version without a valid signature is neither loaded nor promoted."""
        return self._signatures is not None and self._signatures.required

    def has(self, version: str) -> bool:
        """Whether the version is committed."""
        return version in self._known or self._storage.exists(file_key(version, MANIFEST))

    def manifest(self, version: str) -> Manifest:
        """The version's manifest; raises `NotFoundError` if it is not committed, or `IntegrityError`."""
        return self._committed(version).manifest

    def folders(self, since: str = "") -> Mapping[str, Sequence[Listed]]:
        """All that is stored below `models/` of this as-of or later, by its folder, committed or not."""
        listed = self._storage.look("models/", after=f"models/{since}" if since else None)
        return {name: list(files) for name, files in groupby(listed, lambda file: file.key.split("/")[1])}

    def names(self, since: str = "") -> Sequence[str]:
        """The names of the folders below `models/`, committed or not, of this as-of or a later one."""
        return self._storage.folders("models/", after=since)

    def commit(self, version: str, files: Mapping[str, bytes]) -> bool:
        """Store a version; False if it was there already, and then nothing is written.

        No file is ever overwritten, since another run may be committing the same version at this moment. A
        file that is there already belongs to the same version, and the manifest takes its digest. So the
        manifest is true whichever run wins and wherever one dies. A version that is to be signed accepts only
        files that were stored with the same private key.

        Raises `ValueError` for invalid names, `IntegrityError` for a file that somebody else stored.
        """
        for name in (version, *files):
            if not _NAME.fullmatch(name) or name in (MANIFEST, SIGNATURE):
                raise ValueError(f"{self._pipeline}: '{name}' cannot name a version or a file of one")
        signs = self._signatures is not None and self._signatures.signs
        if self.has(version):
            return False
        with ThreadPoolExecutor(max_workers=2) as pool:
            digests = pool.map(lambda name: self._store(version, name, files[name]), files)
            stored = dict(zip(files, digests, strict=True))
        manifest = Manifest(version, stored)
        body = manifest.to_json()
        if signs:
            self._sign(version, _Committed.of(manifest, body))
        try:
            self._storage.create(file_key(version, MANIFEST), body)
        except ConflictError:
            return False
        return True

    def read(self, version: str, name: str) -> bytes:
        """A file of a version, checked against the manifest; what is loaded also by the signature if it must.

        Raises `NotFoundError` if there is no such version or file, `IntegrityError` if one bit differs.
        """
        manifest = self.manifest(version)
        if name not in manifest.files:
            raise NotFoundError(
                f"{self._pipeline}: version {version} has no file '{name}', only {', '.join(manifest.files)}"
            )
        if name in (MODEL, EVALUATED, FEATURES) and self.must_be_signed:
            self.check_signature(version)
        try:
            return manifest.check(name, self._storage.read(file_key(version, name)).body)
        except NotFoundError:
            problem = f"'{name}' is gone"
        except IntegrityError as error:
            problem = str(error)
        raise self._not_loaded(version, problem)

    def check_signature(self, version: str) -> None:
        """Raise `IntegrityError` unless the version's manifest, and so every file, has a valid signature.

        Only the files' digests in the manifest are checked; `read` checks the bytes against them.
        """
        if self._signatures is None or version in self._rightly_signed:
            return
        digests = self._committed(version).digests
        try:
            signature = self._storage.read(file_key(version, SIGNATURE)).body
            self._signatures.check(version, digests, signature)
        except NotFoundError:
            problem = "it is not signed"
        except IntegrityError as error:
            problem = str(error)
        else:
            self._rightly_signed.add(version)
            return
        raise self._not_loaded(version, problem, "train it again with the key")

    def check_whole(self, version: str) -> None:
        """Raise `IntegrityError` unless all files are there in their sizes, and signed if they must be.

        Raises `NotFoundError` if the version is not committed (any more), by a new look at the storage.
        """
        self.forget(version)
        manifest = self.manifest(version)
        found = {file.key: file.size for file in self._storage.look(file_key(version, ""))}
        for name, digest in manifest.files.items():
            size = found.get(file_key(version, name))
            if size != digest.size:
                problem = "is gone" if size is None else f"has {size} bytes instead of {digest.size}"
                raise self._not_loaded(version, f"'{name}' {problem}")
        if self.must_be_signed:
            self.check_signature(version)

    def content(self, version: str, name: str, of: Callable[[dict[str, Any]], Content]) -> Content:
        """What `of` makes of a version's JSON file, which holds an object.

        Raises as `read`, and `IntegrityError` also if it is no JSON, no object, or not what `of` takes.
        """
        body = self.read(version, name)
        remedy = "restore it from a backup, or train a new version"
        with readable(self._pipeline, f"{name} of version {version}", self._storage, remedy):
            content = json.loads(body)
            if not isinstance(content, dict):
                raise TypeError("no object")
            return of(content)

    def written(self, since: str = "") -> dict[str, datetime]:
        """When the manifest of each committed version of this as-of or a later one was written.

        By the clock of the store.
        """
        return _written(self.folders(since))

    def written_of(self, versions: Sequence[str]) -> dict[str, datetime]:
        """The same of those of the versions that are committed, in a request for each."""
        listed = together(lambda version: self._storage.look(file_key(version, "")), versions)
        return _written(dict(zip(versions, listed, strict=True)))

    def remove(self, version: str) -> None:
        """Delete a version's folder, its manifest first, so that what is left of it is not committed."""
        keys = self._storage.list(file_key(version, ""))
        manifest = file_key(version, MANIFEST)
        if manifest in keys:
            self._storage.delete([manifest])
        self._storage.delete(key for key in keys if key != manifest)
        self.forget(version)

    def forget(self, version: str | None = None) -> None:
        """Read the version's manifest and signature again from here on; without one, those of all."""
        for name in [version] if version else list(self._known):
            self._known.pop(name, None)
            self._rightly_signed.discard(name)

    def _committed(self, version: str) -> _Committed:
        if version not in self._known:
            try:
                body = self._storage.read(file_key(version, MANIFEST)).body
            except NotFoundError:
                raise NotFoundError(
                    f"{self._pipeline}: no version {version}: see evergreen models list {self._pipeline}"
                ) from None
            with readable(self._pipeline, f"the manifest of version {version}", self._storage):
                committed = _Committed.of(Manifest.from_json(body), body)
            if committed.manifest.version != version:
                # Somebody may have put the complete folder of another version here, with a valid signature.
                raise self._not_loaded(version, f"its manifest is that of {committed.manifest.version}")
            self._known[version] = committed
        return self._known[version]

    def _store(self, version: str, name: str, body: bytes) -> FileDigest:
        """Create a file, or accept the one that is there; returns the digest of what is stored."""
        if self._signatures is not None and self._signatures.signs:
            return self._store_with_proof(self._signatures, version, name, body)
        key = file_key(version, name)
        if len(body) < _HASHED_ASIDE:
            digest = FileDigest.of(body)
            with suppress(ConflictError):
                self._storage.create(key, body)
                return digest
        else:
            with ThreadPoolExecutor(max_workers=1) as aside:
                hashing = aside.submit(FileDigest.of, body)
                with suppress(ConflictError):
                    self._storage.create(key, body)
                    return hashing.result()
        return FileDigest.of(self._storage.read(key).body)

    def _store_with_proof(self, signatures: Signatures, version: str, name: str, body: bytes) -> FileDigest:
        key, digest = file_key(version, name), FileDigest.of(body)
        with suppress(ConflictError):
            self._storage.create(key, body, note=signatures.proof(version, name, digest.sha256))
            return digest
        there = self._storage.read(key)
        found = FileDigest.of(there.body)
        if found == digest or hmac.compare_digest(there.note, signatures.proof(version, name, found.sha256)):
            return found
        raise IntegrityError(
            f"{self._pipeline}: version {version}: '{name}' exists already and was not stored with this "
            f"private key, so it is not signed: delete {self._storage.uri(key)} and run the stage again"
        )

    def _sign(self, version: str, committed: _Committed) -> None:
        """Store a valid signature over this manifest, which is not stored yet.

        A signature that is there already stays if it is valid: another run made it for the same files.
        Otherwise it is left from a commit that died with other files, and is replaced.
        """
        assert self._signatures is not None
        key, signature = file_key(version, SIGNATURE), self._signatures.sign(version, committed.digests)
        try:
            self._storage.create(key, signature)
        except ConflictError:
            there = self._storage.read(key)
            try:
                self._signatures.check(version, committed.digests, there.body)
            except IntegrityError:
                self._storage.replace(key, signature, there.etag)

    def _not_loaded(self, version: str, problem: str, remedy: str = "restore the file") -> IntegrityError:
        return IntegrityError(
            f"{self._pipeline}: version {version}: {problem}: it is not loaded; {remedy}, or "
            f"withdraw the version: evergreen models rollback {self._pipeline}"
        )


def _written(folders: Mapping[str, Sequence[Listed]]) -> dict[str, datetime]:
    """When the manifest of each folder that has one was written."""
    return {
        version: file.modified
        for version, files in folders.items()
        for file in files
        if file.key == file_key(version, MANIFEST)
    }


def file_key(version: str, name: str) -> str:
    """Where a file of a version is; without a name, the version's folder."""
    return f"models/{version}/{name}"
