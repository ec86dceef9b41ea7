"""A compressed body unpacked in small pieces, so that a few bytes cannot fill the memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from evergreen.errors import SourceError
from evergreen.shown import shown
from evergreen.sources.attempts import StumbleError

ACCEPTED = "gzip"
_PIECE = 2**20
_GZIP = 16 + zlib.MAX_WBITS


def unpacked(chunks: Iterable[bytes], coding: str) -> Iterator[bytes]:
    """The body in pieces of at most 1 MB if it was gzip, else as it came.

    Raises `StumbleError` for one that is damaged or ends too early, `SourceError` for another coding.
    """
    match coding.strip().lower():
        case "" | "identity":
            yield from chunks
        case "gzip" | "x-gzip":
            yield from _gunzipped(chunks)
        case other:
            raise SourceError(
                f"the API answers in the coding '{shown(other)}', which was not requested: fix the API"
            )


def _gunzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    member = zlib.decompressobj(_GZIP)
    try:
        for chunk in chunks:
            rest = chunk
            while rest:
                if member.eof:
                    member = zlib.decompressobj(_GZIP)
                yield member.decompress(rest, _PIECE)
                rest = member.unused_data if member.eof else member.unconsumed_tail
        yield member.flush()
    except zlib.error:
        raise StumbleError("the compressed answer is damaged") from None
    if not member.eof:
        raise StumbleError("the compressed answer is truncated")
