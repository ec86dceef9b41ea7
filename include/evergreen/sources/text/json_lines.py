"""JSON, as a document or an object a line, to records."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

import msgspec

from evergreen.calendar import UTC_ZONE, Zone
from evergreen.sources.text.column_types import is_declared
from evergreen.sources.text.lines import NOT_UTF8, TOO_LONG, LineBlock, Place, Unreadable, rejected
from evergreen.sources.text.records import by_field, prepare_records
from evergreen.sources.text.spool import Known, Prepared

MOST_DIGITS = 4000
"""Digits of the longest whole number that is read; Python reads no more than 4300."""

NO_OBJECT = "is no JSON object"
_NO_JSON = "is not JSON"

Decode = Callable[[bytes], Any]


def decoder(types: Mapping[str, str], text: bytes) -> Decode:
    """What reads JSON of a text in UTF-8, even what the standard forbids: NaN, lone surrogates.

    A column of decimals or whole numbers needs broken numbers as `Decimal`, which loses no digit but is slow:
    so where such a type is published and not declared, only a text that names the column is read so.
    A key that comes twice in an object has its last value. Raises `UnicodeDecodeError`, `OverflowError` for a
    number of too many digits, `RecursionError` and, for what is no JSON, `ValueError`.
    """
    exact = [name for name, kind in types.items() if kind == "int" or kind.startswith("decimal")]
    is_exact = any(is_declared(types, name) or _may_name(text, name) for name in exact)
    return _as_decimals if is_exact else _as_floats


def _may_name(text: bytes, name: str) -> bool:
    """Whether the text may have the name; in one with backslashes it may be written in other ways."""
    return b"\\" in text or json.dumps(name, ensure_ascii=False).encode() in text


def _decoder(quick: msgspec.json.Decoder[Any], number: Callable[[str], Any]) -> Decode:
    patient = json.JSONDecoder(parse_int=_whole, parse_float=number)

    def decode(text: bytes) -> Any:
        try:
            return quick.decode(text)
        except (msgspec.MsgspecError, ValueError):
            return patient.decode(text.decode("utf-8", "surrogatepass"))

    return decode


@dataclass(frozen=True)
class JsonBlock:
    """The objects of a text with their lines and numbers in it (from 1), and what is none."""

    records: Sequence[Mapping[str, Any]]
    lines: Sequence[int]
    numbers: Sequence[int]
    unreadable: Sequence[Unreadable] = ()

    def __len__(self) -> int:
        return len(self.records) + len(self.unreadable)

    @cached_property
    def columns(self) -> Mapping[str, Sequence[Any]]:
        """The values of the records by field; an absent field is None."""
        return by_field(self.records)

    def prepare(
        self, types: Mapping[str, str], known: Mapping[str, Known], place: Place, zone: Zone = UTC_ZONE
    ) -> Prepared:
        """The block for a spool; raises as `prepare_records` does."""
        bad = Prepared(rejected=rejected(self.unreadable, place))

        def place_of(at: int) -> str:
            return place(self.lines[at], self.numbers[at])

        prepared = prepare_records(types, known, self.records, place_of, zone, columns=self.columns)
        return bad.then(prepared)


def read_lines(block: LineBlock, decode: Decode, first_number: int = 1) -> JsonBlock:
    """The objects on a block's lines; a blank line is none and has no number."""
    records: list[Mapping[str, Any]] = []
    places: list[int] = []
    numbers: list[int] = []
    unreadable: list[Unreadable] = []
    lines = [block.text] if block.is_cut else block.text.split(b"\n")
    number = first_number
    for line, text in enumerate(lines, block.first):
        if not text.strip():
            continue
        found = TOO_LONG if block.is_cut else _object(text, decode)
        if isinstance(found, dict):
            records.append(found)
            places.append(line)
            numbers.append(number)
        else:
            is_last = line == block.first + len(lines) - 1
            is_open = is_last and (found == NOT_UTF8 or found.startswith(_NO_JSON))
            unreadable.append(Unreadable(line, number, text, found, is_open))
        number += 1
    return JsonBlock(records, places, numbers, unreadable)


def _object(line: bytes, decode: Decode) -> dict[str, Any] | str:
    """The object on a line, or the reason there is none."""
    try:
        value = decode(line)
    except UnicodeDecodeError:
        return NOT_UTF8
    except RecursionError:
        return "is nested too deeply"
    except OverflowError:
        return "holds a number of too many digits"
    except ValueError as error:
        return f"{_NO_JSON}: {error}"
    return value if isinstance(value, dict) else NO_OBJECT


def _whole(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise OverflowError
    return int(text)


_as_floats = _decoder(msgspec.json.Decoder(), float)
_as_decimals = _decoder(msgspec.json.Decoder(float_hook=Decimal), Decimal)
