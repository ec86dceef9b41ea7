"""The records of CSV text (RFC 4180), one by one: what each holds, or why it cannot be read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from evergreen.sources.text.lines import LONGEST, NOT_UTF8

UNCLOSED = "has a quote that is not closed"
_QUOTED = re.compile(rb'"([^"]*+(?:""[^"]*+)*+)"')


class Record(NamedTuple):
    """A record from byte `begin` to `end`, on the line `line`: its fields, or the reason it has none."""

    line: int
    begin: int
    end: int
    fields: list[str]
    reason: str = ""


def records(text: bytes, delimiter: str, first_line: int = 1, is_last: bool = True) -> Iterator[Record]:
    """The records of whole lines of text; blank lines are none.

    A quoted field may hold delimiters, line ends and doubled quotes; a quote within an unquoted field is
    text. If a quote is closed inside a field, or not at all, only its first line is rejected and the next
    line is read by itself, so that one broken line does not swallow the others. If the text is not the last,
    a record whose quote is still open is left out: its end may be yet to come.
    """
    reader = _Reader(text, delimiter, is_last)
    at, line, quote = 0, first_line, -1
    while at < len(text):
        end = text.find(b"\n", at) + 1 or len(text)
        if quote < at:
            quote = text.find(b'"', at)
            quote = len(text) if quote < 0 else quote
        record = reader.quoted(at, end, line) if quote < end else reader.plain(at, end, line)
        if record is None:
            return
        if record.reason or len(record.fields) > 1 or text[at : record.end] not in (b"\n", b"\r\n", b"\r"):
            yield record
        line += 1 if record.end == end else text.count(b"\n", at, record.end)
        at = record.end


class _BrokenError(Exception):
    """The record cannot be read, and why."""


class _OpenError(Exception):
    """The record's end is yet to come."""


@dataclass(frozen=True)
class _Reader:
    text: bytes
    delimiter: str
    is_last: bool

    def plain(self, begin: int, end: int, line: int) -> Record:
        """The record on a line without quotes."""
        try:
            return Record(
                line, begin, end, _unquoted(_without_end(self.text[begin:end])).split(self.delimiter)
            )
        except _BrokenError as error:
            return Record(line, begin, end, [], str(error))

    def quoted(self, begin: int, end: int, line: int) -> Record | None:
        """The record that begins with a line with quotes, which ends at `end`; None if it is still open."""
        try:
            fields, whole_end = self._fields(begin)
            return Record(line, begin, whole_end, fields)
        except _OpenError:
            return None
        except _BrokenError as error:
            return Record(line, begin, end, [], str(error))

    def _fields(self, begin: int) -> tuple[list[str], int]:
        fields: list[str] = []
        at = begin
        while True:
            field, at = self._field(begin, at)
            fields.append(field)
            follows = self.text[at : at + 2]
            if follows.startswith(self.delimiter.encode()):
                at += 1
            elif follows[:1] in (b"\n", b""):
                return fields, min(at + 1, len(self.text))
            elif follows in (b"\r\n", b"\r"):
                return fields, min(at + 2, len(self.text))
            else:
                raise _BrokenError("has text after a closing quote")

    def _field(self, begin: int, at: int) -> tuple[str, int]:
        if self.text[at : at + 1] == b'"':
            found = self._closed(begin, at)
            return _decoded(found[1]).replace('""', '"'), found.end()
        line_end = self.text.find(b"\n", at) + 1 or len(self.text)
        end = self.text.find(self.delimiter.encode(), at, line_end)
        field = self.text[at:end] if end >= 0 else _without_end(self.text[at:line_end])
        return _unquoted(field), at + len(field)

    def _closed(self, begin: int, at: int) -> re.Match[bytes]:
        found = _QUOTED.match(self.text, at)
        if found is None and not self.is_last and len(self.text) - begin <= LONGEST:
            raise _OpenError
        if found is None or found.end() - begin > LONGEST:
            raise _BrokenError(UNCLOSED)
        return found


def _without_end(line: bytes) -> bytes:
    return line.removesuffix(b"\n").removesuffix(b"\r")


def _unquoted(part: bytes) -> str:
    text = _decoded(part)
    if "\r" in text:
        raise _BrokenError("has a carriage return that ends no line")
    return text


def _decoded(part: bytes) -> str:
    try:
        text = part.decode()
    except UnicodeDecodeError:
        raise _BrokenError(NOT_UTF8) from None
    if "\0" in text:
        raise _BrokenError("has a NUL byte")
    return text
