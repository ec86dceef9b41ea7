"""The records in an API's answer: JSON, JSON lines or CSV, in the charset that it declares."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from evergreen.errors import SourceError
from evergreen.shown import shown
from evergreen.sources.attempts import StumbleError
from evergreen.sources.http.client import Answer
from evergreen.sources.http.description import HttpSource
from evergreen.sources.http.document import at, has
from evergreen.sources.http.past import Past, encoded, packed, records_of
from evergreen.sources.text.csv_text import CsvBlock, CsvText
from evergreen.sources.text.dialect import CsvDialect, known_encoding
from evergreen.sources.text.json_lines import (
    MOST_DIGITS,
    NO_OBJECT,
    Decode,
    JsonBlock,
    decoder,
    read_lines,
)
from evergreen.sources.text.lines import BOM, Unreadable, line_blocks
from evergreen.sources.text.spool import Prepared, Spool

_PIECE = 4 * 2**20  # of a page, that is read at once


@dataclass(frozen=True)
class Content:
    """The content of one answer: blocks of records; `document` is None unless it is JSON.

    `is_there`: the document has the field of the records.
    """

    blocks: Sequence[JsonBlock | CsvBlock] = ()
    document: Any = None
    is_there: bool = True

    def __len__(self) -> int:
        return sum(map(len, self.blocks))

    def digest(self) -> str | None:
        """A digest of the records that could be read; None if there is none."""
        digest, rows = hashlib.sha256(), 0
        for block, small in zip(self.blocks, self.past.blocks, strict=True):
            rows += len(block) - len(block.unreadable)
            if isinstance(block, CsvBlock):
                digest.update(block.text)
            else:
                digest.update(small if isinstance(small, bytes) else encoded(block.columns))
        return digest.hexdigest() if rows else None

    @cached_property
    def past(self) -> Past:
        """The records that could be read, as they are kept for the checks of later pages."""
        return Past([packed(block) for block in self.blocks])

    def first(self) -> Mapping[str, Any]:
        """The first record that could be read; raises `StopIteration` if there is none."""
        return next(record for block in self.blocks for record in records_of(block))

    def prepare(self, spool: Spool, page: int) -> Prepared:
        """The records for the spool that has the pages before; raises as its blocks do.

        An API has the columns of the records that are kept.
        """

        def place(_: int, number: int) -> str:
            return f"page {page}, record {number}"

        prepared = Prepared()
        for block in self.blocks:
            known = {**spool.known, **prepared.known}
            one = block.prepare(spool.types, known, place, spool.zone)
            prepared = prepared.then(one.if_kept())
        return prepared


def read_content(source: HttpSource, answer: Answer) -> Content:
    """The records of an answer in the source's format; 204 is an answer without records.

    Raises `StumbleError` for one that is truncated, `SourceError` for one of another shape.
    """
    if answer.status == 204:
        return Content()
    if answer.body[:200].removeprefix(BOM).lstrip().startswith(b"<?xml"):
        raise SourceError(
            f"{source.path}: the API answers in XML, which is not read: ask it for JSON or CSV (by 'headers' "
            "or 'params'), load it into a database, or write a kind of source of your own, see "
            "docs/how-to/sources.md"
        )
    charset = _charset(answer)
    match source.format:
        case "json":
            body = _utf8(answer.body, charset)
            return _json_content(_document(body, decoder(source.types, body)), source)
        case "json_lines":
            body = _utf8(answer.body, charset)
            blocks: Sequence[JsonBlock | CsvBlock] = list(_json_blocks(body, decoder(source.types, body)))
        case _:
            blocks = list(_csv_blocks(answer.body, source.csv, charset))
    if any(one.is_open for block in blocks for one in block.unreadable):
        raise StumbleError(f"the last record of the {source.format} answer is truncated")
    return Content(blocks)


def _charset(answer: Answer) -> str | None:
    """The encoding that the answer declares; None if it declares none, or UTF-8."""
    charset = answer.headers.get("Content-Type", "").lower().partition("charset=")[2]
    charset = charset.partition(";")[0].strip(" \"'")
    if charset in ("", "utf-8", "utf8", "us-ascii"):
        return None
    try:
        return known_encoding(charset)
    except ValueError:
        raise SourceError(
            f"the API answers in the charset '{shown(charset)}', which is unknown: fix the API"
        ) from None


def _utf8(body: bytes, charset: str | None) -> bytes:
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        charset = "utf-16"
    if charset is None:
        return body.removeprefix(BOM)
    try:
        return body.decode(charset).encode().removeprefix(BOM)
    except ValueError:
        raise StumbleError(f"the answer is not text in its charset '{shown(charset)}'") from None


def _json_content(document: Any, source: HttpSource) -> Content:
    found = at(document, source.records)
    if found is None:
        return Content((), document, has(document, source.records))
    if not isinstance(found, list):
        there = ", ".join(document) if isinstance(document, dict) else f"a {type(document).__name__}"
        raise SourceError(
            f"{source.path}: no list of records under '{source.records}' (there: {shown(there)}): set the "
            "source's 'records' to where they are"
        )
    numbers = range(1, len(found) + 1)
    if set(map(type, found)) <= {dict}:
        return Content([JsonBlock(found, numbers, numbers)], document)
    good = [number for number in numbers if isinstance(found[number - 1], dict)]
    unreadable = [
        Unreadable(number, number, json.dumps(record, default=float).encode(), NO_OBJECT)
        for number, record in zip(numbers, found, strict=True)
        if not isinstance(record, dict)
    ]
    return Content([JsonBlock([found[at - 1] for at in good], good, good, unreadable)], document)


def _document(body: bytes, decode: Decode) -> Any:
    try:
        return decode(body)
    except RecursionError:
        raise SourceError("the answer is nested too deeply: fix the API or the source's path") from None
    except OverflowError:
        raise SourceError(
            f"the answer holds a number of more than {MOST_DIGITS:,} digits: fix the API"
        ) from None
    except ValueError:
        raise StumbleError("the answer is not a complete JSON document") from None


def _json_blocks(body: bytes, decode: Decode) -> Iterator[JsonBlock]:
    number = 1
    for lines in line_blocks(_pieces(body)):
        block = read_lines(lines, decode, number)
        number += len(block)
        yield block


def _csv_blocks(body: bytes, dialect: CsvDialect, charset: str | None) -> Iterator[CsvBlock]:
    if not body.strip():
        return
    if dialect.encoding is None and charset is not None:
        dialect = dialect.model_copy(update={"encoding": charset})
    try:
        text = CsvText("the API's answer", _pieces(body), dialect)
    except SourceError:
        if b"\n" not in body:
            raise StumbleError("the CSV answer is truncated in its header") from None
        raise
    yield from text.blocks()


def _pieces(body: bytes) -> Iterator[bytes]:
    return (body[begin : begin + _PIECE] for begin in range(0, len(body), _PIECE))
