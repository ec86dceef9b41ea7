"""Proofs that rows hold an expectation, found without Great Expectations, which takes a tenth of a second.

A proof only ever says yes. A row that it does not prove is judged by Great Expectations, whose word counts:
so a proof may be narrow, but what it proves must hold there too. Nulls are left out by Great Expectations,
and so they hold all but the expectation that there are none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from evergreen.validation.suite import Entry

Proof = Callable[[pa.Table], pa.ChunkedArray | pa.Array]
"""Of a table of n rows, for each whether it is proven to hold (n,), without nulls."""

_LARGEST = 2**53 - 1  # whole numbers up to it are the same as floats, and no other one becomes one of them
# Of such text all engines of regular expressions say the same.
_PLAIN_TEXT = re.compile(r"[ -~]*")


def proof(entry: Entry, schema: pa.Schema) -> Proof | None:
    """A proof that rows with these columns hold an entry; None if none is known.

    The entry's arguments are those that `evergreen.validation.arguments.typed` gives.
    """
    make = _MAKERS.get(entry.name)
    if make is None or any(name not in schema.names for name in entry.columns_named):
        return None
    kinds = [schema.field(name).type for name in entry.columns_named]
    return make(dict(entry.arguments), kinds)


def _not_null(arguments: dict[str, Any], kinds: list[pa.DataType]) -> Proof | None:
    column = _only(arguments, "column")
    return None if column is None else lambda rows: pc.is_valid(rows.column(column))


def _between(arguments: dict[str, Any], kinds: list[pa.DataType]) -> Proof | None:
    column = _only(arguments, "column", "min_value", "max_value")
    low, high = arguments.get("min_value"), arguments.get("max_value")
    if column is None or not _is_number(kinds[0]) or not all(map(_is_bound, (low, high))):
        return None

    def proven(rows: pa.Table) -> pa.ChunkedArray:
        values = rows.column(column).cast(pa.float64(), safe=False)
        holds = pc.less_equal(pc.abs(values), float(_LARGEST))
        if low is not None:
            holds = pc.and_(holds, pc.greater_equal(values, float(low)))
        if high is not None:
            holds = pc.and_(holds, pc.less_equal(values, float(high)))
        return pc.fill_null(holds, True)

    return proven


def _in_set(arguments: dict[str, Any], kinds: list[pa.DataType]) -> Proof | None:
    column, members = _only(arguments, "column", "value_set"), arguments.get("value_set")
    if column is None or not isinstance(members, list) or not pa.types.is_string(kinds[0]):
        return None
    if not all(isinstance(member, str) for member in members):
        return None
    found = pa.array([*members, None], pa.string())
    return lambda rows: pc.is_in(rows.column(column), value_set=found)


def _matches(arguments: dict[str, Any], kinds: list[pa.DataType]) -> Proof | None:
    column, regex = _only(arguments, "column", "regex"), arguments.get("regex")
    if column is None or not isinstance(regex, str) or not pa.types.is_string(kinds[0]):
        return None
    try:
        search = re.compile(regex).search
    except re.error:
        return None

    def proven(rows: pa.Table) -> pa.Array:
        known = {
            text: text is None or bool(_PLAIN_TEXT.fullmatch(text) and search(text))
            for text in rows.column(column).unique().to_pylist()
        }
        return pa.array([known[text] for text in rows.column(column).to_pylist()], pa.bool_())

    return proven


def _greater(arguments: dict[str, Any], kinds: list[pa.DataType]) -> Proof | None:
    known = {"column_A", "column_B", "or_equal", "ignore_row_if"}
    if not set(arguments) <= known or not all(map(_is_number, kinds)):
        return None
    compare = pc.greater_equal if arguments.get("or_equal") is True else pc.greater
    ignored = arguments.get("ignore_row_if") == "either_value_is_missing"
    names = arguments["column_A"], arguments["column_B"]

    def proven(rows: pa.Table) -> pa.ChunkedArray:
        one, other = (rows.column(name).cast(pa.float64(), safe=False) for name in names)
        small = (pc.less_equal(pc.abs(values), float(_LARGEST)) for values in (one, other))
        holds = pc.and_(compare(one, other), pc.and_(*small))
        return pc.fill_null(holds, ignored)

    return proven


def _only(arguments: Mapping[str, Any], *known: str) -> str | None:
    """The column, if there are no other arguments than these."""
    return str(arguments["column"]) if set(arguments) - {"mostly"} <= set(known) else None


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_float64(kind))


def _is_bound(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST


_MAKERS: Mapping[str, Callable[[dict[str, Any], list[pa.DataType]], Proof | None]] = {
    "expect_column_values_to_not_be_null": _not_null,
    "expect_column_values_to_be_between": _between,
    "expect_column_values_to_be_in_set": _in_set,
    "expect_column_values_to_match_regex": _matches,
    "expect_column_pair_values_a_to_be_greater_than_b": _greater,
}
