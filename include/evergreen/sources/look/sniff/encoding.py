"""In which encoding a text is, told from its bytes."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

from evergreen.sources.text.encoding import as_utf8

# They differ in what they make of a byte, and all make something of nearly each: no rule tells them apart.
_OTHERS = ("cp1250", "cp1254", "cp1257")
# What files are written in; the library knows many that none is.
_COMMON = ("cp125", "cp93", "cp94", "gb", "big5", "euc", "shift_jis", "koi8", "johab", "iso8859", "latin")
_FEW = 0.35
_JUDGED = 2**18
# Where the zeros of ASCII letters are, by the encoding's width.
_ZEROS = {
    "utf-32-le": (4, (1, 2, 3)),
    "utf-32-be": (4, (0, 1, 2)),
    "utf-16-le": (2, (1,)),
    "utf-16-be": (2, (0,)),
}
_MOSTLY = 0.5
_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"[^\W\d_]+")
_SHOWN = 3


@dataclass(frozen=True)
class Encoding:
    """An encoding: its name, whether a dialect has to say it, what told it, and a doubt."""

    name: str
    is_said: bool = True
    told_by: str = ""
    doubt: str = ""


def sniff_encoding(raw: bytes) -> Encoding:
    """The encoding of the beginning of a text.

    A byte order mark tells it; bytes that are UTF-8 are taken for it, for hardly a text in another encoding
    is by chance; zeros at each second byte tell UTF-16. Else it is an encoding of one byte a letter, cp1252
    in most cases. There is a doubt if other such encodings would read other letters.
    """
    marked, _ = as_utf8([raw[:4]], None)
    if marked or raw.startswith(codecs.BOM_UTF8):
        return Encoding(marked or "utf-8", False, "its byte order mark")
    if name := _with_zeros(raw):
        return Encoding(name, True, "zeros between its letters")
    broken, whole = _utf8(raw)
    if not broken:
        return Encoding("utf-8", False)
    if whole > broken:
        return Encoding(
            "utf-8", False, "", f"encoding: {whole:,} letters are UTF-8, {broken:,} bytes are not"
        )
    return _of_bytes(raw)


def _with_zeros(raw: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark: most letters have zeros at the same places."""
    for name, (width, zeros) in _ZEROS.items():
        letters = len(raw) // width
        if letters and all(raw[at::width].count(0) > _MOSTLY * letters for at in zeros):
            return name
    return None


def _utf8(raw: bytes) -> tuple[int, int]:
    """How many places are no UTF-8, and how many letters of several bytes there are."""
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(
        raw
    )  # which ignores a letter cut at the end
    if text.isascii():
        return 0, 0
    broken = text.count("\ufffd")
    return broken, len(re.findall(r"[^\x00-\x7f\ufffd]", text))


def _of_bytes(raw: bytes) -> Encoding:
    read = _decoded(raw, "cp1252")
    letters = _LETTER.findall(read or "")
    foreign = sum(not letter.isascii() for letter in letters)
    if read is None or foreign > _FEW * len(letters):
        return _by_library(raw)
    others = {name: other for name in _OTHERS if (other := _decoded(raw, name)) not in (None, read)}
    shown = _quoted(_words(read))
    if not others:
        return Encoding("cp1252", told_by=shown)
    said = " or ".join(f"{name} ({_quoted(_differing(read, other or ''))})" for name, other in others.items())
    return Encoding("cp1252", told_by=shown, doubt=f"encoding: cp1252 ({shown}) is taken, it may be {said}")


def _by_library(raw: bytes) -> Encoding:
    from charset_normalizer import from_bytes

    found = [match.encoding for match in from_bytes(raw[:_JUDGED])]
    found = [name for name in found if name.startswith(_COMMON) and _decoded(raw, name) is not None]
    if not found:
        return Encoding("latin-1", doubt="encoding: it is none that is known, and latin-1 reads any bytes")
    best, shown = found[0], _quoted(_words(_decoded(raw, found[0]) or ""))
    other = f", such as {' or '.join(found[1:3])}" if found[1:] else ""
    return Encoding(
        best, told_by=shown, doubt=f"encoding: {best} ({shown}) is likely, it may be another{other}"
    )


def _decoded(raw: bytes, name: str) -> str | None:
    """The text; None if it holds bytes that are no text. Its last letter may be cut."""
    try:
        return codecs.getincrementaldecoder(name)().decode(raw)
    except UnicodeDecodeError:
        return None


def _words(text: str) -> list[str]:
    """The first words with letters beyond ASCII."""
    found: Iterator[str] = (word for word in _WORD.findall(text) if not word.isascii())
    return list(dict.fromkeys(found))[:_SHOWN]


def _differing(read: str, other: str) -> list[str]:
    """The first words of another reading of the same bytes that are other words."""
    ours = {word.start(): word[0] for word in _WORD.finditer(read)}
    found = (word[0] for word in _WORD.finditer(other) if ours.get(word.start()) != word[0])
    return list(dict.fromkeys(word for word in found if not word.isascii()))[:1] or ["other signs"]


def _quoted(words: list[str]) -> str:
    return ", ".join(f"'{word}'" for word in words)
