"""Object stores (S3, Google Cloud Storage, Azure Blob Storage) as a place, by obstore."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import (
    BaseError,
    InvalidPathError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from pydantic import field_validator

from evergreen.errors import SourceError
from evergreen.shown import shown
from evergreen.sources.attempts import StumbleError
from evergreen.sources.extra import Extra
from evergreen.sources.files.address import Address
from evergreen.sources.files.patterns import Pattern
from evergreen.sources.files.places.absent import AbsentError
from evergreen.sources.files.places.ranges import Version, attempts_at, copy_in_pieces, is_there

if TYPE_CHECKING:
    from obstore.store import AzureStore, GCSStore, S3Store

    Store = S3Store | GCSStore | AzureStore

_NO_RETRIES: Any = {"max_retries": 0}  # `Attempts` is the one rule of retries
_LISTED = 1000  # keys a request
_PASSING = frozenset(
    {"408", "409", "416", "425", "429"}
)  # 409: of an object that is being written; 416: it was cut
_REFUSED_TLS = re.compile("invalid peer certificate|UnknownIssuer|certificate verify failed")


class StoreSettings(Extra):
    """The keys that the extra of every object store may have.

    `ca` is a file of certificates in PEM that are trusted too. `anonymous`: requests are not signed.
    """

    endpoint_url: str | None = None
    ca: Path | None = None
    anonymous: bool = False

    @field_validator("endpoint_url")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "https://default")
        if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"[\s@]", value or ""):
            raise ValueError("must be an address like https://s3.example.org, without a login")
        return value

    def client(self, conn_id: str) -> Any:
        """The options of the HTTP client; raises `SourceError` for a `ca` that cannot be read."""
        options: dict[str, Any] = {"connect_timeout": "10s", "timeout": "5m", "read_timeout": "30s"}
        if self.endpoint_url and self.endpoint_url.startswith("http://"):
            options["allow_http"] = True
        if self.ca:
            try:
                options["root_certificate"] = self.ca.read_bytes()
            except OSError:
                raise SourceError(
                    f"connection '{conn_id}': 'ca' in its extra is no readable file of certificates in PEM: "
                    "name one"
                ) from None
        return options


def open_objects(
    address: Address,
    kind: type[Store],
    config: Mapping[str, Any],
    *,
    client: Any,
    unusable: str,
    provider: Any = None,
) -> Objects:
    """The bucket or container of an address; asks nobody.

    What `config` lacks, or has as None, the library takes from the environment (`AWS_*`, `AZURE_*`).
    `client` is made by `StoreSettings.client`; `provider` gives the keys. If the library refuses any of it,
    raises `SourceError` that ends with `unusable`: the library's own text may repeat what was given.
    """
    given = {name: value for name, value in config.items() if value is not None}
    try:
        store = kind(
            address.root,
            config=given,  # type: ignore[arg-type]
            client_options=client,
            retry_config=_NO_RETRIES,
            credential_provider=provider,
        )
    except Exception:  # noqa: BLE001 - each store has errors of its own
        raise SourceError(f"{address.top} cannot be used{unusable}") from None
    return Objects(address, store)


class Objects:
    """The objects of the bucket or container that an address begins with."""

    def __init__(self, address: Address, store: Store) -> None:
        self._top, self._name, self._store = address.top, address.name, store

    def matching(self, pattern: str) -> Iterator[str]:
        """The keys that match; all those below the pattern's fixed beginning are listed."""
        wanted = Pattern(pattern)
        listed = attempts_at(self._name(pattern)).run(partial(self._listed, wanted.prefix, pattern))
        for key, size in listed:
            # The library shows the empty object `x/`, which other tools make for a folder, as `x`.
            if wanted.matches(key) and (size or self.exists(key)):
                yield key

    def exists(self, path: str) -> bool:
        """Whether there is an object of this key."""
        return is_there(self._name(path), partial(self._version, path))

    def copy(self, path: str, file: IO[bytes]) -> None:
        """Copy an object, all of one version by its ETag."""
        copy_in_pieces(self._name(path), file, partial(self._version, path), partial(self._piece, path))

    def _version(self, path: str) -> Version:
        with self._errors(path):
            return _version_of(obstore.head(self._store, path))

    def _piece(self, path: str, start: int, end: int) -> tuple[bytes, Version]:
        with self._errors(path):
            answer = obstore.get(self._store, path, options={"range": (start, end)})
            content = bytes(answer.bytes())
        if len(content) != end - start:
            raise StumbleError("the store sent less than was asked for")
        return content, _version_of(answer.meta)

    def _listed(self, prefix: str, pattern: str) -> list[tuple[str, int]]:
        # The library lists folders. An offset skips what comes before the prefix, and keys are sorted.
        folder, _, begun = prefix.rpartition("/")
        found: list[tuple[str, int]] = []
        with self._errors(pattern):
            listing = obstore.list(
                self._store, folder or None, offset=prefix[:-1] if begun else None, chunk_size=_LISTED
            )
            for chunk in listing:
                entries = [(str(entry["path"]), int(entry["size"])) for entry in chunk]
                found += [(key, size) for key, size in entries if key.startswith(prefix)]
                if entries and entries[-1][0] > prefix and not entries[-1][0].startswith(prefix):
                    break
        return found

    @contextmanager
    def _errors(self, path: str) -> Iterator[None]:
        name = self._name(path)
        _check_process(name)
        try:
            yield
        except InvalidPathError:
            raise SourceError(
                f"{name}: a key there has an empty name, '.' or '..' between slashes, which cannot be read: "
                "narrow the source's path, or write the object under another key"
            ) from None
        except (FileNotFoundError, BaseError) as error:
            raise self._explained(error, name) from None
        except ValueError:
            raise SourceError(f"path '{shown(name)}' is no address of an object: check it") from None

    def _explained(self, error: Exception, name: str) -> Exception:
        # The library's texts may repeat what was sent: only codes are shown.
        text = str(error)
        status, code = _found(r"status code: (\d{3})", text), _found(r"<Code>(\w{1,60})</Code>", text)
        if isinstance(error, FileNotFoundError) or status == "404":
            if code in ("NoSuchBucket", "ContainerNotFound"):
                return SourceError(f"{self._top} does not exist: change the source's path, or create it")
            return AbsentError.of(name)
        if isinstance(error, PermissionDeniedError | UnauthenticatedError) or status in ("401", "403"):
            return SourceError(
                f"{name}: access denied{f' ({code})' if code else ''}: check the keys of the connection, or "
                "of the storage if the source names none, and what they may read"
            )
        if _REFUSED_TLS.search(text):
            return SourceError(
                f"{name}: the server's TLS certificate is not trusted: set 'ca' in the connection's extra to "
                "its authority's file, or check the endpoint"
            )
        return _other(status, code, name)


def _other(status: str | None, code: str | None, name: str) -> Exception:
    if status is None:
        return StumbleError("the store cannot be reached, or broke off")
    said = f"the store answered {status}{f' {code}' if code else ''}"
    if status.startswith("5") or status in _PASSING:
        return StumbleError(said)
    return SourceError(
        f"{name}: {said}: check the source's path, and the connection's endpoint, region and keys"
    )


_process: list[int] = []  # the one that has used the library


def _check_process(name: str) -> None:
    # The library's threads are not there in a fork, which would wait for them for ever.
    pid = os.getpid()
    if _process and _process != [pid]:
        raise SourceError(
            f"{name}: this process was forked from one that had read objects, and cannot read them itself: "
            "start it with multiprocessing's 'spawn' or 'forkserver'"
        )
    _process[:] = [pid]


def _version_of(meta: Any) -> Version:
    return Version(int(meta["size"]), f"{meta['e_tag']} {meta['last_modified']}")


def _found(form: str, text: str) -> str | None:
    found = re.search(form, text)
    return found[1] if found else None
