"""Values and names that sources are known to have, and what becomes of each whatever reads it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from evergreen.rows.batches import Rows

REJECTED = object()
LONG = "x" * 200_000
MAX = 1.7976931348623157e308


@dataclass(frozen=True)
class Value:
    """A value as text (CSV; JSON and Parquet as a text), as a JSON literal and as one of Arrow.

    `declared` is its column's type; None stands for a format that cannot carry the value.
    """

    declared: str
    outcome: Any
    text: str | None = None
    literal: str | None = None
    arrow: pa.Array | None = None


def same_text(text: str) -> Value:
    return Value("text", text, text, json.dumps(text), pa.array([text]))


def number(declared: str, text: str, outcome: Any, arrow: Any = None) -> Value:
    return Value(declared, outcome, text, text, arrow)


def moment(text: str, outcome: Any, arrow: Any = None) -> Value:
    return Value("time", outcome, text, json.dumps(text), arrow)


def us(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


FIRST, LAST = us(1, 1, 1), us(9999, 12, 31, 23, 59, 59, 999999)

VALUES = {
    # whole numbers
    "2**53": number("int", "9007199254740992", 2**53, pa.array([2.0**53])),
    "2**53 + 1": number("int", "9007199254740993", 2**53 + 1, pa.array([2**53 + 1])),
    "2**53 + 1 with a point": number("int", "9007199254740993.0", REJECTED),
    "1 and a little": number("int", "1.00000000000000000001", REJECTED),
    "2**63 - 1": number("int", "9223372036854775807", 2**63 - 1, pa.array([2**63 - 1])),
    "-2**63": number("int", "-9223372036854775808", -(2**63), pa.array([-(2**63)])),
    "2**63": number("int", "9223372036854775808", REJECTED, pa.array([2**63], pa.uint64())),
    "7.0": number("int", "7.0", 7, pa.array([7.0])),
    "7e0": number("int", "7e0", 7),
    "a half": number("int", "7.5", REJECTED, pa.array([7.5])),
    "leading zeros, declared int": Value("int", 1234, "01234", '"01234"', pa.array(["01234"])),
    "hexadecimal": Value("int", REJECTED, "0x10", '"0x10"', pa.array(["0x10"])),
    # decimals
    "a cent": number("decimal(20, 2)", "0.01", Decimal("0.01"), pa.array([Decimal("0.01")])),
    "38 digits": number("decimal(38, 10)", "9" * 28 + "." + "9" * 10, Decimal("9" * 28 + "." + "9" * 10)),
    "a digit too many": number("decimal(20, 2)", "1.505", REJECTED, pa.array([Decimal("1.505")])),
    "15e-1": number("decimal(20, 2)", "15e-1", Decimal("1.50")),
    "infinity, declared decimal": Value(
        "decimal(20, 2)", REJECTED, "Infinity", '"Infinity"', pa.array(["Infinity"])
    ),
    # float64
    "1e999": number("float", "1e999", REJECTED),
    "-1e999": number("float", "-1e999", REJECTED),
    "the least": number("float", "5e-324", 5e-324, pa.array([5e-324])),
    "the greatest": number("float", "1.7976931348623157e308", MAX, pa.array([MAX])),
    "the most negative": number("float", "-1.7976931348623157e308", -MAX, pa.array([-MAX])),
    "-0.0": number("float", "-0.0", -0.0, pa.array([-0.0])),
    "NaN": number("float", "NaN", None, pa.array([math.nan])),
    "a comma": Value("float", REJECTED, '"1,5"', '"1,5"', pa.array(["1,5"])),
    "1e999 in a list": Value("text", REJECTED, literal='{"a": [1, 1e999]}'),
    "NaN in a list": Value("text", '{"a": [1, null]}', literal='{"a": [1, NaN]}'),
    # text
    "NUL": Value("text", REJECTED, "a\0b", '"a\\u0000b"', pa.array(["a\0b"])),
    "half a surrogate pair": Value(
        "text", REJECTED, None, '"\\ud800"', pa.array([b"\xed\xa0\x80"]).cast(pa.string(), safe=False)
    ),
    "U+FFFF": same_text("a\uffffb"),
    "U+FFFD": same_text("\ufffd"),
    "an emoji": same_text("\U0001f469\u200d\U0001f680"),
    "a mark of direction": same_text("\u202eabc"),
    "blanks": same_text("  "),
    "a blank on each side": same_text(" a "),
    "very long": same_text(LONG),
    "a word for null": same_text("NULL"),
    "leading zeros": same_text("01234"),
    "null": Value("text", None, "", "null", pa.array([None], pa.string())),
    "empty": Value("text", "", None, '""', pa.array([""])),  # which is null in CSV
    # truth values
    "true": Value("boolean", True, "true", "true", pa.array([True])),
    "FALSE": Value("boolean", False, "FALSE", '"FALSE"', pa.array(["FALSE"])),
    "yes": Value("boolean", REJECTED, "yes", '"yes"', pa.array(["yes"])),
    "t": Value("boolean", REJECTED, "t", '"t"', pa.array(["t"])),
    "2 for a truth": Value("boolean", REJECTED, "2", "2", pa.array([2])),
    # days
    "the first day": Value("date", date.min, "0001-01-01", '"0001-01-01"', pa.array([date.min])),
    "the last day": Value("date", date.max, "9999-12-31", '"9999-12-31"', pa.array([date.max])),
    "year 10000": Value("date", REJECTED, "10000-01-01", '"10000-01-01"', pa.array([2932897], pa.date32())),
    "BC": Value("date", REJECTED, "-0001-01-01", '"-0001-01-01"', pa.array([-719893], pa.date32())),
    "a day of no month": Value("date", REJECTED, "2023-02-29", '"2023-02-29"', pa.array(["2023-02-29"])),
    "infinity": Value("date", REJECTED, "infinity", '"infinity"', pa.array([2**31 - 1], pa.date32())),
    # times
    "the first moment": moment("0001-01-01T00:00:00Z", FIRST, pa.array([FIRST])),
    "the last moment": moment("9999-12-31T23:59:59.999999Z", LAST, pa.array([LAST])),
    "behind the last": moment(
        "9999-12-31T23:59:59-01:00", REJECTED, pa.array([253402304399000000], pa.timestamp("us", "UTC"))
    ),
    "9 digits": moment(
        "2024-01-31T05:00:00.123456789Z", REJECTED, pa.array([1706677200123456789], pa.timestamp("ns", "UTC"))
    ),
    "9 digits, the last of them 0": moment(
        "2024-01-31T05:00:00.123456000Z",
        us(2024, 1, 31, 5, 0, 0, 123456),
        pa.array([1706677200123456000], pa.timestamp("ns", "UTC")),
    ),
    "a leap second": moment("2016-12-31T23:59:60Z", REJECTED, pa.array(["2016-12-31T23:59:60Z"])),
    "24:00:00": moment("2024-01-31T24:00:00Z", REJECTED, pa.array(["2024-01-31T24:00:00Z"])),
    "an offset of 14 hours": moment(
        "2024-01-31T05:00:00+14:00", us(2024, 1, 30, 15), pa.array(["2024-01-31T05:00:00+14:00"])
    ),
    "a number for a time": Value("time", REJECTED, "1706677200", '"1706677200"', pa.array(["1706677200"])),
}

NAMES = {
    "two that differ in case": ("Val", "val"),
    "the same in another alphabet": ("Größe", "GRÖSSE".replace("SS", "ß")),
    "the lake's own": ("Partition", "b"),
    "an empty one": ("", "b"),
    "a blank one": (" ", "b"),
    "one with a NUL": ("a\0b", "b"),
    "one twice": ("b", "b"),
}


def outcome(rows: Rows) -> Any:
    """The value of the one row, or `REJECTED` with a reason and a place."""
    found = rows.table().to_pylist()
    if found:
        assert not rows.rejected
        assert len(found) == 1
        return found[0]["x"]
    (rejected,) = rows.rejected
    assert rejected.reason
    assert rejected.place
    assert "\n" not in rejected.reason
    return REJECTED


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    return type(one) is type(other) and one == other
