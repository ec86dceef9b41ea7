"""The few calls of an S3 client that a registry makes, on a dictionary: thousands a second.

For tests of what happens in which order, where a server's milliseconds would leave too few examples. That it
honours conditional writes is for `Storage.probe` to say, as of any store.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError


@dataclass
class _Object:
    body: bytes
    metadata: dict[str, str]
    content_type: str
    modified: datetime

    @property
    def tag(self) -> str:
        return f'"{hashlib.md5(self.body).hexdigest()}"'


@dataclass
class MemoryClient:
    """One bucket; `now` tells when something is written."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    objects: dict[str, _Object] = field(default_factory=dict)

    def put_object(
        self,
        Key: str,  # noqa: N803 - boto3's names
        Body: bytes,  # noqa: N803
        IfNoneMatch: str | None = None,  # noqa: N803
        IfMatch: str | None = None,  # noqa: N803
        Metadata: dict[str, str] | None = None,  # noqa: N803
        ContentType: str = "",  # noqa: N803
        **_: Any,
    ) -> dict[str, Any]:
        """Write, if the condition holds."""
        there = self.objects.get(Key)
        if (IfNoneMatch and there) or (IfMatch and (there is None or there.tag != IfMatch)):
            raise _error("PreconditionFailed", "PutObject")
        self.objects[Key] = _Object(Body, Metadata or {}, ContentType, self.now())
        return {"ETag": self.objects[Key].tag}

    def get_object(self, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        """Read."""
        there = self.objects.get(Key)
        if there is None:
            raise _error("NoSuchKey", "GetObject")
        return {
            "Body": io.BytesIO(there.body),
            "ETag": there.tag,
            "Metadata": there.metadata,
            "ContentType": there.content_type,
        }

    def head_object(self, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        """Look."""
        if Key not in self.objects:
            raise _error("404", "HeadObject")
        return {}

    def delete_objects(self, Delete: dict[str, Any], **_: Any) -> dict[str, Any]:  # noqa: N803
        """Delete what there is of the keys."""
        for entry in Delete["Objects"]:
            self.objects.pop(entry["Key"], None)
        return {}

    def get_paginator(self, name: str) -> MemoryClient:
        """Of listings, in one page."""
        assert name == "list_objects_v2"
        return self

    def paginate(
        self,
        Prefix: str,  # noqa: N803
        StartAfter: str = "",  # noqa: N803
        Delimiter: str = "",  # noqa: N803
        **_: Any,
    ) -> Iterator[dict[str, Any]]:
        """The one page."""
        found = sorted(key for key in self.objects if key.startswith(Prefix) and key > StartAfter)
        below = {key: key.find(Delimiter, len(Prefix)) if Delimiter else -1 for key in found}
        folders = {key[: end + 1] for key, end in below.items() if end >= 0}
        entries = [(key, self.objects[key]) for key, end in below.items() if end < 0]
        yield {
            "Contents": [
                {
                    "Key": key,
                    "Size": len(there.body),
                    "LastModified": there.modified,
                    "ETag": there.tag,
                }
                for key, there in entries
            ],
            "CommonPrefixes": [{"Prefix": folder} for folder in sorted(folders)],
        }


def _error(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, operation)
