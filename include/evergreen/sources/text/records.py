"""Records of JSON to Arrow, with types that do not depend on the values of one day."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from operator import itemgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from evergreen.calendar import UTC_ZONE, Zone
from evergreen.errors import SourceError
from evergreen.rows.batches import Rejected
from evergreen.rows.texts import NUL, has_nul
from evergreen.shown import shown
from evergreen.sources.text.column_types import is_declared
from evergreen.sources.text.declared import declared_array, json_text
from evergreen.sources.text.published import published_array
from evergreen.sources.text.spool import MOST_COLUMNS, Known, Prepared, check_kinds, check_width
from evergreen.sources.text.types import IN_JSON, read, skipped

_EXACT = 2**53  # above it float64 cannot represent every whole number
_NOT_FINITE = "a number that is not finite, or beyond the range of float64"
_KINDS: dict[type, str] = {
    bool: "truth values",
    int: "numbers",
    float: "numbers",
    Decimal: "numbers",
    str: "text",
}


class _MisfitsError(Exception):
    """Records that cannot be kept: why, by their index."""

    def __init__(self, reasons: dict[int, str]) -> None:
        super().__init__()
        self.reasons = reasons


def prepare_records(
    types: Mapping[str, str],
    known: Mapping[str, Known],
    records: Sequence[Mapping[str, Any]],
    place: Callable[[int], str],
    zone: Zone = UTC_ZONE,
    *,
    columns: Mapping[str, Sequence[Any]] | None = None,
) -> Prepared:
    """The records as a batch, for a spool that knows `known`; `place` says where the one at an index stands.

    `columns` are their values `by_field`, if they are known already.

    One column a field, in order of first appearance; an absent field is null. Numbers are float64, booleans
    stay; text is text, unless every value is an ISO 8601 time with an offset: then `timestamp[us, UTC]`.
    Objects and lists become JSON text, NaN is no value. `types` says what a column is instead, where a time
    without an offset is local time of the zone, if declared. Records that do not fit it are rejected, as
    are those without fields, with text that is no Unicode or has a NUL, a number that is not finite, and a
    time with digits behind the microseconds. Raises `SourceError` for a
    field that mixes kinds, a whole number beyond 2**53, and more than 2,000 fields.
    """
    try:
        if not all(records):
            raise _MisfitsError({at: "has no fields" for at, record in enumerate(records) if not record})
        values = by_field(records) if columns is None else columns
        typed, after = _columns(types, known, values, zone)
        batch = pa.record_batch(typed) if records else None
        if batch is not None and (reasons := _with_nul(batch)):
            raise _MisfitsError(reasons)
    except (_MisfitsError, UnicodeEncodeError, RecursionError) as error:
        reasons = error.reasons if isinstance(error, _MisfitsError) else _unkeepable(records)
        good = [at for at in range(len(records)) if at not in reasons]
        rest = prepare_records(types, known, [records[at] for at in good], lambda at: place(good[at]), zone)
        misfits = (Rejected(_raw(records[at]), place(at), why) for at, why in reasons.items())
        seen = rest.seen.union(name for at in reasons for name in records[at] if name in types)
        return replace(rest, rejected=(*rest.rejected, *misfits), seen=seen)
    return Prepared((batch,) if batch is not None else (), after)


def by_field(records: Sequence[Mapping[str, Any]]) -> dict[str, Sequence[Any]]:
    """The values by field, in order of first appearance; None where a record lacks the field.

    Fast where all records have the same fields; without values for more fields than a table may have.
    """
    if not records:
        return {}
    first = list(records[0])
    if set(map(len, records)) == {len(first)}:
        try:
            return {name: list(map(itemgetter(name), records)) for name in first}
        except KeyError:
            pass  # other fields, as many of them
    names = dict.fromkeys(name for record in records for name in record)
    if len(names) > MOST_COLUMNS:
        return dict.fromkeys(names, ())
    return {name: [record.get(name) for record in records] for name in names}


def _with_nul(batch: pa.RecordBatch) -> dict[int, str]:
    """By index why records cannot be kept: a text has a NUL."""
    reasons: dict[int, str] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if has_nul(column):
            rows = pc.match_substring(column, "\0").to_pylist()
            reasons |= {at: _of_field(name, NUL) for at, one in enumerate(rows) if one}
    return reasons


def _columns(
    types: Mapping[str, str],
    known: Mapping[str, Known],
    values: Mapping[str, Sequence[Any]],
    zone: Zone,
) -> tuple[dict[str, pa.Array], dict[str, Known]]:
    check_width(known, values)
    columns = _typed(types, {name: values[name] for name in values if name in types}, zone)
    after: dict[str, Known] = {}
    for name, those in values.items():
        if name in types:
            after[name] = Known("declared")
        else:
            columns[name], after[name] = _inferred(name, those, known.get(name, Known()))
    return {name: columns[name] for name in values}, after


def _typed(types: Mapping[str, str], values: Mapping[str, Sequence[Any]], zone: Zone) -> dict[str, pa.Array]:
    columns: dict[str, pa.Array] = {}
    reasons: dict[int, str] = {}
    for name, those in values.items():
        if is_declared(types, name):
            columns[name], misfits = declared_array(those, types[name], zone)
        else:
            columns[name], misfits = published_array(those, types[name], zone)
        reasons |= {at: _of_field(name, why) for at, why in misfits.items()}
    if reasons:
        raise _MisfitsError(dict(sorted(reasons.items())))
    return columns


def _inferred(name: str, values: Sequence[Any], known: Known) -> tuple[pa.Array, Known]:
    if known.kind == "text":
        with suppress(pa.ArrowTypeError, pa.ArrowInvalid):
            return _text(name, pa.array(values, pa.string()), known)
    if float in (types := set(map(type, values))) and not types <= {float, int, type(None)}:
        values = [None if isinstance(value, float) and math.isnan(value) else value for value in values]
        types = set(map(type, values))
    kinds = {_KINDS.get(kind, "objects") for kind in types - {type(None)}}
    if kinds == {"numbers"}:
        column = _numbers(name, values, types)
        kinds = kinds if column.null_count < len(column) else set()  # all of them NaN
    check_kinds(name, kinds | ({known.kind} if known.kind else set()))
    if not kinds:
        return pa.nulls(len(values)), known
    if (kind := kinds.pop()) == "text":
        return _text(name, pa.array(values, pa.string()), known)
    now = known if known.kind == kind else replace(known, kind=kind)
    match kind:
        case "numbers":
            return column, now
        case "truth values":
            return pa.array(values, pa.bool_()), now
    return _objects(name, values), now


def _text(name: str, texts: pa.Array, known: Known) -> tuple[pa.Array, Known]:
    left = known.readings if known.kind else IN_JSON
    found = {one: values for one in left if (values := read(texts, one)) is not None}
    for times in found.values():
        if none := skipped(texts, times, UTC_ZONE):
            raise _MisfitsError({at: _of_field(name, why) for at, why in none.items()})
    return texts, Known("text", tuple(found))


def _objects(name: str, values: Sequence[Any]) -> pa.Array:
    texts: list[str | None] = []
    reasons: dict[int, str] = {}
    for at, value in enumerate(values):
        try:
            texts.append(None if value is None else json_text(value))
        except OverflowError:
            reasons[at] = _of_field(name, _NOT_FINITE)
    if reasons:
        raise _MisfitsError(reasons)
    return pa.array(texts, pa.string())


def _of_field(name: str, why: str) -> str:
    return f"field '{shown(name)}': {why}"


def _numbers(name: str, values: Sequence[Any], types: set[type]) -> pa.Array:
    if Decimal in types:
        values = [float(value) if isinstance(value, Decimal) else value for value in values]
    try:
        numbers = pa.array(values, pa.float64(), from_pandas=True)
    except (pa.ArrowInvalid, OverflowError):
        raise SourceError(
            f"field '{shown(name)}' holds a whole number beyond 2**53: the source must send it as text, or "
            "declare its type under 'types'"
        ) from None
    infinite = pc.is_inf(numbers)
    if pc.any(infinite).as_py():
        why = _of_field(name, _NOT_FINITE)
        raise _MisfitsError({at: why for at, one in enumerate(infinite.to_pylist()) if one})
    return numbers


def _unkeepable(records: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    reasons = {}
    for at, record in enumerate(records):
        try:
            for name, value in record.items():
                f"{name}{value if isinstance(value, str) else json.dumps(value, default=float)}".encode()
        except UnicodeEncodeError:
            reasons[at] = "holds text that is not Unicode"
        except RecursionError:
            reasons[at] = "is nested too deeply"
    if not reasons:
        raise SourceError("records cannot be kept: their text is not Unicode, fix the source")
    return reasons


def _raw(record: Mapping[str, Any]) -> str:
    try:
        try:
            return json_text(dict(record))
        except OverflowError:
            return json_text(_spelt(record))
    except RecursionError:
        return "{...}"


def _spelt(value: Any) -> Any:
    """The value with numbers beyond float64 as text, so that none is lost."""
    if isinstance(value, dict):
        return {name: _spelt(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_spelt(inner) for inner in value]
    is_infinite = isinstance(value, float | Decimal) and math.isinf(float(value))
    return str(value) if is_infinite else value
