"""Reads a file's bytes, decompressed if necessary."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

import pyarrow as pa

from evergreen.errors import SourceError, one_line

CHUNK = 4 * 2**20
SUFFIXES = {".gz": "gzip", ".gzip": "gzip", ".zst": "zstd", ".zstd": "zstd"}
# No text in UTF-8 begins like these.
_BEGINNINGS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


def compression_of(name: str) -> str | None:
    """The compression that a file's name tells."""
    return next((codec for suffix, codec in SUFFIXES.items() if name.endswith(suffix)), None)


def plain_chunks(file: IO[bytes], name: str, size: int = CHUNK) -> Iterator[bytes]:
    """The file's content in chunks of at most `size` bytes, unpacked if it is gzip or zstd.

    The compression is recognised by the name, or else by the first bytes. Raises `SourceError` for a
    compressed file that is damaged or truncated, and for a file that cannot be read.
    """
    beginning = file.read(4)
    file.seek(0)
    codec = compression_of(name) or next(
        (codec for mark, codec in _BEGINNINGS.items() if beginning.startswith(mark)), None
    )
    if codec and not beginning:
        raise SourceError(f"{name} is not a complete {codec} file: it has no bytes: write it again")
    try:
        plain = pa.CompressedInputStream(pa.PythonFile(file, "r"), codec) if codec else file
        while chunk := plain.read(size):
            yield chunk
    except (OSError, pa.ArrowInvalid) as error:
        reason = one_line(error, 200)
        problem = f"is not a complete {codec} file" if codec else "cannot be read to its end"
        raise SourceError(f"{name} {problem} ({reason}): write it again") from None
