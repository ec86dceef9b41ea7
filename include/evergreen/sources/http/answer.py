"""The records in an API's answer: JSON, JSON lines or CSV, in whatever charset it says."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

from evergreen.errors import SourceError
from evergreen.rows.batches import Rejected
from evergreen.shown import shown
from evergreen.sources.http.client import Answer
from evergreen.sources.http.description import HttpSource
from evergreen.sources.http.document import at
from evergreen.sources.http.stumble import StumbleError

_DIGITS = 4000  # of a whole number; Python reads no more than 4300
_BOM = b"\xef\xbb\xbf"
_FLOATS, _DECIMALS = msgspec.json.Decoder(), msgspec.json.Decoder(float_hook=Decimal)


@dataclass(frozen=True)
class Content:
    """What one answer holds: records with their numbers in it (from 1), and texts that are no records.

    `document` is the whole JSON document, None of another format.
    """

    records: Sequence[Mapping[str, Any]]
    numbers: Sequence[int]
    unreadable: Sequence[tuple[int, str, str]] = ()
    document: Any = None

    def __len__(self) -> int:
        return len(self.records) + len(self.unreadable)

    def place(self, page: int, index: int) -> str:
        """Where the record at an index stands."""
        return f"page {page}, record {self.numbers[index]}"

    def rejected(self, page: int) -> list[Rejected]:
        """What could not be read, with number, text and reason."""
        return [Rejected(text, f"page {page}, record {at}", why) for at, text, why in self.unreadable]


@dataclass
class _Sorted:
    """Records and texts that are none, in the order they came."""

    records: list[Mapping[str, Any]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    unreadable: list[tuple[int, str, str]] = field(default_factory=list)

    def good(self, record: Mapping[str, Any]) -> None:
        self.numbers.append(len(self.numbers) + len(self.unreadable) + 1)
        self.records.append(record)

    def bad(self, text: str, why: str) -> None:
        self.unreadable.append((len(self.numbers) + len(self.unreadable) + 1, text, why))

    def content(self, document: Any = None) -> Content:
        return Content(self.records, self.numbers, self.unreadable, document)


def read_content(source: HttpSource, answer: Answer) -> Content:
    """The records of an answer in the source's format; 204 is an answer without records.

    Raises `StumbleError` for one that is not whole, `SourceError` for one of another shape. Where the source
    declares a decimal, broken numbers are read as `Decimal`, which loses no digit. A key that comes twice in
    an object has its last value.
    """
    if answer.status == 204:
        return Content((), ())
    body = _utf8(answer)
    exact = any(name.startswith("decimal") for name in source.types.values())
    match source.format:
        case "json":
            return _json_content(_document(body, exact), source)
        case "json_lines":
            return _lines_content(body, exact)
    return _csv_content(body)


def _utf8(answer: Answer) -> bytes:
    charset = answer.headers.get("Content-Type", "").lower().partition("charset=")[2]
    charset = charset.partition(";")[0].strip(" \"'")
    body = answer.body
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        charset = "utf-16"
    if charset in ("", "utf-8", "utf8", "us-ascii"):
        return body.removeprefix(_BOM)
    try:
        return body.decode(charset).encode().removeprefix(_BOM)
    except LookupError:
        raise SourceError(
            f"the API answers in the charset '{shown(charset)}', which is unknown: mend it"
        ) from None
    except ValueError:
        raise StumbleError(f"the answer is not text in its charset '{shown(charset)}'") from None


def _json_content(document: Any, source: HttpSource) -> Content:
    found = at(document, source.records)
    if not isinstance(found, list):
        there = ", ".join(document) if isinstance(document, dict) else f"a {type(document).__name__}"
        raise SourceError(
            f"{source.path}: no list of records under '{source.records}' (there: {shown(there)}): set the "
            "source's 'records' to where they are"
        )
    if set(map(type, found)) <= {dict}:
        return Content(found, range(1, len(found) + 1), (), document)
    content = _Sorted()
    for record in found:
        if isinstance(record, dict):
            content.good(record)
        else:
            content.bad(json.dumps(record, default=float), f"is a {type(record).__name__}, not an object")
    return content.content(document)


def _document(body: bytes, exact: bool) -> Any:
    try:
        return _decoded(body, exact)
    except RecursionError:
        raise SourceError("the answer is nested too deeply: mend the API or the source's path") from None
    except OverflowError:
        raise SourceError(
            f"the answer holds a number of more than {_DIGITS:,} digits: mend the API"
        ) from None
    except ValueError:
        raise StumbleError("the answer is not a whole JSON document") from None


def _decoded(text: bytes, exact: bool) -> Any:
    """JSON, which may hold what the standard forbids and others write: NaN, Infinity, lone surrogates."""
    try:
        return (_DECIMALS if exact else _FLOATS).decode(text)
    except (msgspec.MsgspecError, ValueError):
        return json.loads(text, parse_int=_whole, parse_float=Decimal if exact else float)


def _whole(text: str) -> int:
    if len(text) > _DIGITS:
        raise OverflowError
    return int(text)


def _lines_content(body: bytes, exact: bool) -> Content:
    content = _Sorted()
    lines = body.split(b"\n")
    for number, line in enumerate(lines, 1):
        if not (text := line.strip()):
            continue
        try:
            record, why = _decoded(text, exact), ""
        except RecursionError:
            record, why = None, "is nested too deeply"
        except OverflowError:
            record, why = None, f"holds a number of more than {_DIGITS:,} digits"
        except ValueError:
            if number == len(lines):
                raise StumbleError("the last line of the answer is not whole") from None
            record, why = None, "is not JSON"
        if isinstance(record, dict):
            content.good(record)
        else:
            content.bad(text.decode(errors="replace"), why or f"is a {type(record).__name__}, not an object")
    return content.content()


def _csv_content(body: bytes) -> Content:
    content = _Sorted()
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise StumbleError("the answer is not text in UTF-8") from None
    records = _csv_records(text)
    names, _, _ = next(records, ([], "", ""))
    if len(set(names)) < len(names) or (names and not all(names)):
        raise SourceError("the CSV answer's header has a name twice or an empty one: mend the API")
    whole = text.endswith(("\n", "\r"))
    for values, raw, why in records:
        if len(values) == len(names) and not why:
            content.good({n: v or None for n, v in zip(names, values, strict=True)})
            continue
        if not raw.endswith(("\n", "\r")) and not whole:
            raise StumbleError("the last record of the CSV answer is not whole")
        content.bad(raw.rstrip("\r\n"), why or f"has {len(values)} values for {len(names)} names")
    return content.content()


def _csv_records(text: str) -> Iterator[tuple[list[str], str, str]]:
    """Values, text and what is wrong of each record, blank lines left out."""
    taken: list[str] = []

    def lines() -> Iterator[str]:
        for line in io.StringIO(text, newline=""):
            taken.append(line)
            yield line

    reader = csv.reader(lines(), strict=True)
    while True:
        taken.clear()
        try:
            values, why = next(reader), ""
        except StopIteration:
            return
        except csv.Error as error:
            if "end of data" in str(error):
                raise StumbleError("the CSV answer ends within quotes") from None
            values, why = [], f"is not CSV ({error})"
        if values or why:
            yield values, "".join(taken), why
