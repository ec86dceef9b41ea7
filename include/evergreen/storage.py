"""The S3-compatible storage: plain objects, conditional writes, and where Delta tables live.

Every write that publishes is conditional (`If-None-Match` to create, `If-Match` to replace), so that two
writers can never both believe they won.
"""

from __future__ import annotations

import copy
import os
import shutil
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache
from itertools import islice
from typing import IO, Any
from urllib.parse import urlsplit

from evergreen.errors import ConflictError, NotFoundError, StorageError, UnavailableError
from evergreen.multipart import LARGE, PART, upload_parts
from evergreen.quick_reads import AskAgain, Missing, QuickReads
from evergreen.storage_errors import Unchanged, translated

_DELETED_TOGETHER = 1000  # the most that S3 takes
_NOTE = "evergreen-note"


@dataclass(frozen=True)
class Credentials:
    """How to reach the store: what the standard `AWS_*` variables say. Secrets are left out of `repr`."""

    endpoint_url: str | None = None
    region: str = "us-east-1"
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)

    @classmethod
    def from_environment(cls, variables: Mapping[str, str] | None = None) -> Credentials:
        """Credentials of `AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_ACCESS_KEY_ID` and the others.

        They are looked for in `variables`, by default this process's. Where the keys are unset, the usual
        chain of the AWS SDK (profile, role) applies.
        """
        env = os.environ if variables is None else variables
        return cls(
            endpoint_url=env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL"),
            region=env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or "us-east-1",
            access_key=env.get("AWS_ACCESS_KEY_ID"),
            secret_key=env.get("AWS_SECRET_ACCESS_KEY"),
            session_token=env.get("AWS_SESSION_TOKEN"),
        )


@dataclass(frozen=True)
class StoredObject:
    """An object's bytes, its ETag, which a conditional write names, and the note it was created with."""

    body: bytes
    etag: str
    note: str = ""


@dataclass(frozen=True)
class Listed:
    """An object of a listing: key, size in bytes, when the store took it in (its clock), and tag."""

    key: str
    size: int
    modified: datetime
    etag: str = ""


@dataclass(frozen=True)
class About:
    """What is stored with an object: the type of its content, and the note it was created with."""

    content_type: str = ""
    note: str = ""

    def named(self) -> dict[str, Any]:
        """The same by the names that S3 gives them."""
        noted: dict[str, Any] = {"Metadata": {_NOTE: self.note}} if self.note else {}
        return noted | ({"ContentType": self.content_type} if self.content_type else {})

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> About:
        """What S3's answer says of an object."""
        return cls(answer.get("ContentType", ""), answer.get("Metadata", {}).get(_NOTE, ""))


class Storage:
    """One bucket and prefix of an S3-compatible store. Keys are relative to the prefix."""

    def __init__(self, bucket: str, prefix: str, credentials: Credentials) -> None:
        self.bucket = bucket
        self.prefix = prefix.strip("/")
        self.credentials = credentials
        self._large = threading.Lock()  # held while a large body is sent

    @cached_property
    def _client(self) -> Any:
        with _making:
            return _client_of(self.credentials, os.getpid())

    @cached_property
    def _quick(self) -> QuickReads | None:
        """The quick way to read; None where the keys are those of a profile or a role."""
        keys = self.credentials
        if keys.access_key is None:
            return None
        secrets = keys.secret_key, keys.session_token
        return QuickReads(self.bucket, keys.endpoint_url, keys.region, keys.access_key, *secrets)

    @classmethod
    def open(cls, location: str | None = None, credentials: Credentials | None = None) -> Storage:
        """The store at `location` (default: `EVERGREEN_STORAGE`), written `s3://bucket[/prefix]`.

        Raises `StorageError` if it is unset or of another form. Nothing is contacted yet.
        """
        location = location or os.environ.get("EVERGREEN_STORAGE", "")
        parts = urlsplit(location)
        if parts.scheme != "s3" or not parts.netloc:
            found = f"is '{location}':" if location else "is not set: start the embedded stack (make up), or"
            raise StorageError(f"EVERGREEN_STORAGE {found} set it to s3://bucket or s3://bucket/prefix")
        return cls(parts.netloc, parts.path, credentials or Credentials.from_environment())

    def child(self, prefix: str) -> Storage:
        """The same store, one folder further down."""
        child = copy.copy(self)
        child.prefix = self._full(prefix).strip("/")
        return child

    def uri(self, key: str = "") -> str:
        """The `s3://` address of a key."""
        return f"s3://{self.bucket}/{self._full(key)}".rstrip("/")

    @property
    def delta_options(self) -> dict[str, str]:
        """What delta-rs needs to read and write tables here."""
        options = {
            "AWS_REGION": self.credentials.region,
            "AWS_ENDPOINT_URL": self.credentials.endpoint_url,
            "AWS_ENDPOINT_URL_S3": self.credentials.endpoint_url,  # a variable of this name would win
            "AWS_ACCESS_KEY_ID": self.credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": self.credentials.secret_key,
            "AWS_SESSION_TOKEN": self.credentials.session_token,
            "AWS_ALLOW_HTTP": "true" if (self.credentials.endpoint_url or "").startswith("http:") else None,
            "conditional_put": "etag",
        }
        return {name: value for name, value in options.items() if value}

    def read(self, key: str) -> StoredObject:
        """The object at `key`; raises `NotFoundError` if there is none."""
        with suppress(AskAgain), self._quickly(key) as quick:
            body, etag, noted = quick.get(self._full(key))
            return StoredObject(body, etag, noted.get(_NOTE, ""))
        with self._errors(key):
            answer = self._client.get_object(Bucket=self.bucket, Key=self._full(key))
            return StoredObject(answer["Body"].read(), answer["ETag"], About.of(answer).note)

    def find(self, key: str) -> StoredObject | None:
        """The object at `key`; None if there is none."""
        try:
            return self.read(key)
        except NotFoundError:
            return None

    def read_unless(self, key: str, etag: str) -> StoredObject | None:
        """The object at `key`, None while it has this tag; raises `NotFoundError` if there is none."""
        try:
            with suppress(AskAgain), self._quickly(key) as quick:
                return StoredObject(*quick.get(self._full(key), unless=etag)[:2])
            with self._errors(key):
                answer = self._client.get_object(Bucket=self.bucket, Key=self._full(key), IfNoneMatch=etag)
                return StoredObject(answer["Body"].read(), answer["ETag"])
        except Unchanged:
            return None

    def tail(self, key: str, size: int) -> bytes:
        """The last `size` bytes of the object at `key`; raises `NotFoundError` if there is none."""
        with suppress(AskAgain), self._quickly(key) as quick:
            return quick.tail(self._full(key), size)
        with self._errors(key):
            answer = self._client.get_object(Bucket=self.bucket, Key=self._full(key), Range=f"bytes=-{size}")
            return bytes(answer["Body"].read())

    def exists(self, key: str) -> bool:
        """Whether there is an object at `key`."""
        with suppress(AskAgain), self._quickly(key) as quick:
            return quick.exists(self._full(key))
        try:
            with self._errors(key):
                self._client.head_object(Bucket=self.bucket, Key=self._full(key))
        except NotFoundError:
            return False
        return True

    def stage(self, key: str, body: bytes, content_type: str = "application/octet-stream") -> None:
        """Write unconditionally: only for staging, for a version's files before its manifest, for pages."""
        with self._errors(key):
            self._client.put_object(
                Bucket=self.bucket, Key=self._full(key), Body=body, ContentType=content_type
            )

    def upload(self, key: str, body: IO[bytes], about: About | None = None) -> None:
        """Write a file's whole content unconditionally, in parts if it is large; the file stays open."""
        where, stored = {"Bucket": self.bucket, "Key": self._full(key)}, (about or About()).named()
        body.flush()
        size = body.seek(0, os.SEEK_END)
        body.seek(0)
        # Bytes are sent at once, a file in slices of 16 kB; so at most one large body is held in memory.
        with self._errors(key), self._large if size > PART else nullcontext():
            if size < LARGE:
                self._client.put_object(**where, Body=body.read(), **stored)
            else:
                upload_parts(self._client, where, body, stored)

    def download(self, key: str, body: IO[bytes]) -> About:
        """Write the object at `key` into a file, piece by piece; raises `NotFoundError` if there is none."""
        with self._errors(key):
            answer = self._client.get_object(Bucket=self.bucket, Key=self._full(key))
            shutil.copyfileobj(answer["Body"], body, PART)
        body.seek(0)
        return About.of(answer)

    def copy(self, key: str, there: str, size: int) -> None:
        """Copy the object of `size` bytes at `key` to another key within the store, without reading it."""
        source = {"Bucket": self.bucket, "Key": self._full(key)}
        with self._errors(key):
            if size < LARGE:  # one request to the store
                self._client.copy_object(Bucket=self.bucket, Key=self._full(there), CopySource=source)
            else:
                from boto3.s3.transfer import TransferConfig

                parts = TransferConfig(multipart_threshold=LARGE, multipart_chunksize=PART, max_concurrency=2)
                self._client.copy(source, self.bucket, self._full(there), Config=parts)

    def create(self, key: str, body: bytes, note: str = "", content_type: str = "") -> str:
        """Write a new object and return its tag; raises `ConflictError` if one is there already.

        `note`, a short text in ASCII, is stored with the object and comes back with `read`.
        """
        about = About(content_type, note).named()
        with self._errors(key):
            answer = self._client.put_object(
                Bucket=self.bucket, Key=self._full(key), Body=body, IfNoneMatch="*", **about
            )
            return str(answer["ETag"])

    def replace(self, key: str, body: bytes, etag: str) -> str:
        """Write over the object that has this tag; raises `ConflictError` if it has another by now."""
        with self._errors(key):
            answer = self._client.put_object(Bucket=self.bucket, Key=self._full(key), Body=body, IfMatch=etag)
            return str(answer["ETag"])

    def list(self, prefix: str, after: str | None = None) -> list[str]:
        """Keys below `prefix`, sorted; only those that sort after the key `after` if it is given."""
        return [entry.key for entry in self.look(prefix, after)]

    def look(self, prefix: str, after: str | None = None) -> Sequence[Listed]:
        """The objects below `prefix`, in the order of their keys; `after` as in `list`."""
        skip = len(self._full(""))
        since = self._full(after) if after else None
        with suppress(AskAgain), self._quickly(prefix) as quick:
            there = quick.look(self._full(prefix), since)
            return [Listed(key[skip:], *told) for key, told in sorted(there)]
        start = {"StartAfter": since} if since else {}
        with self._errors(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self._full(prefix), **start
            )
            entries = [
                Listed(entry["Key"][skip:], entry["Size"], entry["LastModified"], entry.get("ETag", ""))
                for page in pages
                for entry in page.get("Contents", [])
            ]
        return sorted(entries, key=lambda entry: entry.key)

    def folders(self, prefix: str, after: str = "") -> Sequence[str]:
        """Names of the folders directly below `prefix`, which ends with a slash, sorted.

        What they hold is not listed, so that a thousand of them take one request. With `after` only those
        that sort after it, each with its slash.
        """
        with suppress(AskAgain), self._quickly(prefix) as quick:
            names = (folder.rpartition("/")[2] for folder in quick.folders(self._full(prefix)))
            return sorted(name for name in names if f"{name}/" > after)
        start = {"StartAfter": self._full(prefix + after)} if after else {}
        with self._errors(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self._full(prefix), Delimiter="/", **start
            )
            found = [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", [])]
        return sorted(folder.rstrip("/").rpartition("/")[2] for folder in found)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete the objects at the keys; missing ones are ignored. Only for what is not published."""
        remaining = iter(keys)
        while batch := [{"Key": self._full(key)} for key in islice(remaining, _DELETED_TOGETHER)]:
            with self._errors(""):
                answer = self._client.delete_objects(
                    Bucket=self.bucket, Delete={"Objects": batch, "Quiet": True}
                )
            if errors := answer.get("Errors"):
                where = self.uri(errors[0]["Key"][len(self._full("")) :])
                raise translated(str(errors[0].get("Code")), self.bucket, where, errors[0].get("Message"))

    def delete_all(self, prefix: str) -> int:
        """Delete every object below `prefix` and return how many there were. Only for staging."""
        keys = self.list(prefix)
        self.delete(keys)
        return len(keys)

    def probe(self) -> None:
        """Check that the store honours conditional writes; raises `StorageError` if it ignores them.

        It writes three times to a key of its own: the second creation, and a replacement with a wrong tag,
        must be refused.
        """
        key = f".probe/{uuid.uuid4().hex}"
        tag = self.create(key, b"first")
        try:
            attempts: dict[str, Callable[[], str]] = {
                "If-None-Match": lambda: self.create(key, b"second"),
                "If-Match": lambda: self.replace(key, b"third", f'"{"0" * 32}"'),
            }
            for condition, attempt in attempts.items():
                try:
                    attempt()
                except ConflictError:
                    continue
                raise StorageError(
                    f"{self.uri()}: the store ignores {condition}, so two writers could both win; "
                    "use one that honours conditional writes (AWS S3, SeaweedFS >= 4.18, ministack)"
                )
            self.replace(key, b"fourth", tag)
        finally:
            self.delete_all(key)

    def _full(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    @contextmanager
    def _quickly(self, key: str) -> Iterator[QuickReads]:
        if self._quick is None:
            raise AskAgain
        try:
            yield self._quick
        except Missing as error:
            raise NotFoundError(f"{self.uri(key)} does not exist") from error

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        where = self.uri(key)
        try:
            yield
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            raise translated(code, self.bucket, where, error) from error
        except BotoCoreError as error:
            endpoint = self.credentials.endpoint_url or "AWS S3"
            raise UnavailableError(
                f"storage {endpoint} cannot be reached ({type(error).__name__}): check that it runs and "
                "AWS_ENDPOINT_URL is right"
            ) from error


# Making a client is not safe in threads, using one is.
_making = threading.Lock()


@lru_cache(maxsize=8)
def _client_of(credentials: Credentials, pid: int) -> Any:
    """The client of a store: it takes a tenth of a second to make, and may not be shared with a fork."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=credentials.endpoint_url,
        region_name=credentials.region,
        aws_access_key_id=credentials.access_key,
        aws_secret_access_key=credentials.secret_key,
        aws_session_token=credentials.session_token,
        config=Config(
            connect_timeout=5,
            read_timeout=60,
            retries={"mode": "standard", "max_attempts": 5},
            request_checksum_calculation="when_required",  # bodies are signed by their SHA-256 already
            s3={"addressing_style": "path"} if credentials.endpoint_url else {},
        ),
    )
