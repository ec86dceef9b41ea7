"""Text of any encoding to UTF-8, chunk by chunk; bytes that are no text stay recognisable."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from itertools import chain

# That of UTF-32 begins like that of UTF-16.
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_LONGEST_MARK = 4
# A byte that is no text becomes the code point U+DC00 + byte, for which UTF-8 has no bytes: so no text looks
# like it, and decoding the record finds it.
_ESCAPE = "evergreen-escape"
_ESCAPED = re.compile(rb"\xed([\xb0-\xb3][\x80-\xbf])")


def as_utf8(chunks: Iterable[bytes], encoding: str | None) -> tuple[str | None, Iterator[bytes]]:
    """The encoding that a text is in, and the text in UTF-8.

    The byte order mark says the encoding, else the declared one counts; None is UTF-8, and what is in it is
    left as it is. Bytes of another encoding that are no text become bytes that are no UTF-8: `as_written`
    shows them.
    """
    rest = iter(chunks)
    head = b""
    while len(head) < _LONGEST_MARK and (chunk := next(rest, b"")):
        head += chunk
    marked = next((name for mark, name in _MARKS.items() if head.startswith(mark)), None)
    found = marked or encoding
    whole = chain([head] if head else [], rest)
    if found is None or codecs.lookup(found).name == "utf-8":
        return None, whole
    if not marked and codecs.lookup(found).name in ("utf-16", "utf-32"):
        found += "-le"  # as Windows writes them
    return found, _transcoded(whole, found)


def is_text(text: bytes, encoding: str | None) -> bool:
    """Whether the result of `as_utf8` surely is UTF-8; fast, as it looks for one byte alone."""
    return encoding is not None and b"\xed" not in text


def as_written(text: bytes) -> bytes:
    """The text with `\\x9d` where `as_utf8` found a byte that is no text."""
    return _ESCAPED.sub(_shown, text) if b"\xed" in text else text


def _transcoded(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)(_ESCAPE)
    for chunk in chunks:
        if text := decoder.decode(chunk):
            yield text.encode("utf-8", "surrogatepass")
    if text := decoder.decode(b"", final=True):
        yield text.encode("utf-8", "surrogatepass")


def _escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


def _shown(found: re.Match[bytes]) -> bytes:
    high, low = found[1]
    return b"\\x%02x" % ((high & 0x0F) << 6 | low & 0x3F)


codecs.register_error(_ESCAPE, _escape)
