"""A ZIP answer, unpacked in small pieces."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

from evergreen.sources.attempts import StumbleError
from evergreen.sources.files.decompress import ZIP_BEGINNING, ZIP_DAMAGE, zip_member

_PIECE = 2**20
_TYPES = frozenset({"application/zip", "application/x-zip-compressed"})


def is_zip(body: bytes, content_type: str) -> bool:
    """Whether an answer is a ZIP, by its first bytes or by what it says of itself."""
    return body.startswith(ZIP_BEGINNING) or content_type.partition(";")[0].strip().lower() in _TYPES


def unzipped(body: bytes, where: str) -> Iterator[bytes]:
    """The one file in a ZIP, in pieces of at most 1 MB; `where` begins the message of an error.

    Raises `StumbleError` for one that is damaged or truncated, `SourceError` as `zip_member` does.
    """
    try:
        with zip_member(BytesIO(body), f"{where}: the API's ZIP") as member:
            while piece := member.read(_PIECE):
                yield piece
    except ZIP_DAMAGE:
        raise StumbleError("the ZIP answer is damaged or truncated") from None
