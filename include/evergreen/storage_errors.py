"""What the answers of an S3-compatible store mean."""

from __future__ import annotations

from typing import Any

from evergreen.errors import ConflictError, NotFoundError, StorageError, UnavailableError

_MISSING = frozenset({"NoSuchKey", "404", "NotFound"})
_CONFLICT = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
_UNCHANGED = frozenset({"304", "NotModified"})
_DENIED = frozenset({"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "403"})


class Unchanged(Exception):  # noqa: N818 - an answer
    """The object still has the tag that a conditional read named."""


def translated(code: str, bucket: str, where: str, told: Any) -> Exception:
    """The exception for a store's error `code` about the address `where`; `told` is what it said of it."""
    if code == "NoSuchBucket":
        return StorageError(f"bucket '{bucket}' does not exist: create it or change EVERGREEN_STORAGE")
    if code in _UNCHANGED:
        return Unchanged()
    if code in _MISSING:
        return NotFoundError(f"{where} does not exist")
    if code in _CONFLICT:
        return ConflictError(f"{where} was written by somebody else first: run the stage again")
    if code in _DENIED:
        return StorageError(f"{where}: access denied ({code}): check the AWS_* keys of the storage")
    return UnavailableError(f"{where}: the storage answered {code or told}: run the stage again")
