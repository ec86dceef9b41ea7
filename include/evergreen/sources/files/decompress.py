"""Reads a file's bytes, decompressed if necessary."""

from __future__ import annotations

import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any

import pyarrow as pa

from evergreen.errors import SourceError, one_line
from evergreen.shown import shown
from evergreen.sources.files.compressions import COMPRESSIONS

CHUNK = 4 * 2**20
ZIP_BEGINNING = b"PK\x03\x04"
ZIP_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError)
"""What opening and reading the file in a damaged or truncated ZIP raises."""

_FOLDERS = re.compile("^__MACOSX/|/$")
# No text in UTF-8 begins like these.
_BEGINNINGS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", ZIP_BEGINNING: "zip"}


def compression_of(name: str) -> str | None:
    """The compression that a file's name tells."""
    return next((codec for suffix, codec in COMPRESSIONS.items() if name.lower().endswith(suffix)), None)


def plain_chunks(file: IO[bytes], name: str, size: int = CHUNK) -> Iterator[bytes]:
    """The file's content in chunks of at most `size` bytes, unpacked if it is gzip, zstd or ZIP.

    The compression is recognised by the name, or else by the first bytes. Raises `SourceError` for a
    compressed file that is damaged or truncated, a ZIP of several files or with a password, and for a file
    that cannot be read.
    """
    beginning = file.read(4)
    file.seek(0)
    codec = compression_of(name) or next(
        (codec for mark, codec in _BEGINNINGS.items() if beginning.startswith(mark)), None
    )
    if codec and not beginning:
        raise SourceError(f"{name} is not a complete {codec} file: it has no bytes: write it again")
    try:
        plain = _plain(file, name, codec)
        while chunk := plain.read(size):
            yield chunk
    except (*ZIP_DAMAGE, pa.ArrowInvalid) as error:
        reason = one_line(error, 200)
        problem = f"is not a complete {codec} file" if codec else "cannot be read to its end"
        raise SourceError(f"{name} {problem} ({reason}): write it again") from None


def _plain(file: IO[bytes], name: str, codec: str | None) -> Any:
    if codec == "zip":
        return zip_member(file, name)
    return pa.CompressedInputStream(pa.PythonFile(file, "r"), codec) if codec else file


def zip_member(file: IO[bytes], name: str) -> IO[bytes]:
    """The one file in a seekable ZIP, unpacked as it is read; `name` is the ZIP's.

    Raises `SourceError` for none, several, or one with a password, and one of `ZIP_DAMAGE`.
    """
    try:
        packed = zipfile.ZipFile(file)
        members = [one for one in packed.infolist() if not _FOLDERS.search(one.filename)]
        if len(members) != 1:
            names = ", ".join(shown(one.filename) for one in members[:5]) or "none"
            raise SourceError(f"{name} holds {len(members)} files ({names}): write a ZIP of one file")
        return packed.open(members[0])
    except (RuntimeError, NotImplementedError) as error:
        raise SourceError(f"{name} cannot be unpacked ({one_line(error, 100)}): write it without") from None
