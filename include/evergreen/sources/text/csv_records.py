"""The records of CSV text (RFC 4180), one by one: what each holds, or why it cannot be read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from evergreen.sources.text.dialect import CsvDialect
from evergreen.sources.text.lines import LONGEST

UNCLOSED = "has a quote that is not closed"


class Record(NamedTuple):
    """A record from byte `begin` to `end`, on the line `line`: its fields, or the reason it has none."""

    line: int
    begin: int
    end: int
    fields: list[str]
    reason: str = ""


def records(text: bytes, dialect: CsvDialect, first_line: int = 1, is_last: bool = True) -> Iterator[Record]:
    """The records of whole lines of UTF-8 text; blank lines and comments are none.

    A quoted field may hold delimiters, line ends and doubled quotes; a quote within an unquoted field is
    text. If a quote is closed inside a field, or not at all, only its first line is rejected and the next
    line is read by itself, so that one broken line does not swallow the others. If the text is not the last,
    a record whose quote is still open is left out: its end may be yet to come.
    """
    reader = _Reader(text, dialect, is_last)
    at, line, quote = 0, first_line, -1 if dialect.quote else len(text)
    while at < len(text):
        end = text.find(b"\n", at) + 1 or len(text)
        if reader.comment and text.startswith(reader.comment, at):
            at, line = end, line + 1
            continue
        if quote < at:
            quote = text.find(reader.quote, at)
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


class _Reader:
    def __init__(self, text: bytes, dialect: CsvDialect, is_last: bool) -> None:
        self.text, self.is_last = text, is_last
        self.delimiter = dialect.delimiter.encode()
        self.quote = (dialect.quote or "").encode()
        self.comment = (dialect.comment or "").encode()
        self._encoding = dialect.said_encoding

    def plain(self, begin: int, end: int, line: int) -> Record:
        """The record on a line without quotes."""
        try:
            text = self._unquoted(_without_end(self.text[begin:end]))
            return Record(line, begin, end, text.split(self.delimiter.decode()))
        except _BrokenError as error:
            return Record(line, begin, end, [], str(error))

    def quoted(self, begin: int, end: int, line: int) -> Record | None:
        """The record that begins with a line with quotes, which ends at `end`; None if it is still open."""
        try:
            fields, end = self._fields(begin)
            return Record(line, begin, end, [self._text(field) for field in fields])
        except _OpenError:
            return None
        except _BrokenError as error:
            return Record(line, begin, end, [], str(error))

    def _fields(self, begin: int) -> tuple[list[bytes], int]:
        """The fields as they are written, and where the record ends.

        They are decoded only when it is known where each ends, so that an open quote is not taken for the
        fault of a later line.
        """
        fields: list[bytes] = []
        at = begin
        while True:
            fields.append(self._field(begin, at))
            at += len(fields[-1])
            follows = self.text[at : at + 2]
            if follows.startswith(self.delimiter):
                at += 1
            elif follows[:1] in (b"\n", b""):
                return fields, min(at + 1, len(self.text))
            elif follows in (b"\r\n", b"\r"):
                return fields, min(at + 2, len(self.text))
            else:
                raise _BrokenError("has text after a closing quote")

    def _field(self, begin: int, at: int) -> bytes:
        if self.text[at : at + 1] == self.quote:
            return self._closed(begin, at)[0]
        line_end = self.text.find(b"\n", at) + 1 or len(self.text)
        end = self.text.find(self.delimiter, at, line_end)
        return self.text[at:end] if end >= 0 else _without_end(self.text[at:line_end])

    def _text(self, field: bytes) -> str:
        if not field.startswith(self.quote):
            return self._unquoted(field)
        quote = self.quote.decode()
        return self._decoded(field[1:-1]).replace(2 * quote, quote)

    def _closed(self, begin: int, at: int) -> re.Match[bytes]:
        found = _quoted(self.quote).match(self.text, at)
        if found is None and not self.is_last and len(self.text) - begin <= LONGEST:
            raise _OpenError
        if found is None or found.end() - begin > LONGEST:
            raise _BrokenError(UNCLOSED)
        return found

    def _unquoted(self, part: bytes) -> str:
        text = self._decoded(part)
        if "\r" in text:
            raise _BrokenError("has a carriage return that ends no line")
        return text

    def _decoded(self, part: bytes) -> str:
        try:
            text = part.decode()
        except UnicodeDecodeError:
            raise _BrokenError(f"holds bytes that are not {self._encoding}") from None
        if "\0" in text:
            raise _BrokenError("has a NUL byte")
        return text


@lru_cache
def _quoted(quote: bytes) -> re.Pattern[bytes]:
    """A field in quotes, in which a doubled quote is one."""
    sign = re.escape(quote)
    return re.compile(b"%s([^%s]*+(?:%s%s[^%s]*+)*+)%s" % ((sign,) * 6))


def _without_end(line: bytes) -> bytes:
    return line.removesuffix(b"\n").removesuffix(b"\r")
