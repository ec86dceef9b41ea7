"""Rows in quarantine: how each is written as text, read back value by value, and named."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from evergreen.calendar import UTC_ZONE, Zone
from evergreen.errors import RefusedError
from evergreen.rows.batches import Rejected, Rows
from evergreen.sources.text.declared import time_of

if TYPE_CHECKING:
    from evergreen.lake import Lake

QUARANTINE = pa.schema(
    [("row", pa.string()), ("expectation", pa.string()), ("reason", pa.string()), ("place", pa.string())]
)
"""`row` is `to_text` of a row, or the raw text of a record that could not be read, which has a `place`."""

UNREADABLE = "readable"
"""What a record that could not be read breaks."""

INSIDE = "inside the partition"
"""What a row breaks whose event time lies in another partition."""

_ID = 12  # hexadecimal digits
_SHOWN = 60  # characters of a value in a message


@dataclass(frozen=True)
class Quarantined:
    """A row in quarantine: its text, the expectations it breaks, why, and its position if unreadable."""

    partition: str
    row: str
    expectation: str
    reason: str
    place: str = ""

    @property
    def id(self) -> str:
        """The row's name: see `row_id`."""
        return row_id(self.row, self.place)

    @property
    def readable(self) -> bool:
        """Whether it is a row, and not the raw text of a record."""
        return not self.place

    @property
    def values(self) -> dict[str, Any] | None:
        """The row's values as in its JSON text; None for an unreadable record."""
        return dict(json.loads(self.row)) if self.readable else None

    @property
    def expectations(self) -> list[str]:
        """Each of the expectations that it breaks."""
        return self.expectation.split("; ")


def read_quarantine(lake: Lake, partition: str | None = None) -> list[Quarantined]:
    """The rows in quarantine of a partition, or of all; none if nothing ever was in it."""
    from evergreen.lake import PARTITION, Table

    rows = lake.find(Table.QUARANTINE, partition, partition)
    if rows is None:
        return []
    names = [PARTITION, *(name for name in QUARANTINE.names if name in rows.column_names)]
    return [Quarantined(**{**row, "place": row.get("place") or ""}) for row in rows.select(names).to_pylist()]


def unvalidated(lake: Lake, partition: str, schema: pa.Schema, waiting: Sequence[Quarantined]) -> Rows:
    """A partition as it was before validation: its published rows and its quarantined rows.

    Raises `RefusedError` if a quarantined row does not fit the schema.
    """
    from evergreen.lake import Table

    published = lake.read(Table.PARTITIONS, partition, partition).select(schema.names).cast(schema)
    try:
        restored = [restore(one.row, schema) for one in waiting if one.readable]
    except ValueError as error:
        raise RefusedError(f"{partition}: a row in quarantine: {error}: ingest it again") from None
    rejected = [Rejected(one.row, one.place, one.reason) for one in waiting if not one.readable]
    return Rows(schema, [*published.to_batches(), pa.RecordBatch.from_pylist(restored, schema)], rejected)


def row_id(text: str, place: str = "") -> str:
    """The name of a row in quarantine: the first 12 hexadecimal digits of the SHA-256 of its text.

    A record that could not be read is named by its place too: equal lines are records of their own.
    """
    named = f"{place}\0{text}" if place else text
    return hashlib.sha256(named.encode()).hexdigest()[:_ID]


def to_text(row: Mapping[str, Any]) -> str:
    """A row of the lake (Python values, as `to_pylist` gives them) as the JSON text that `restore` reads.

    Numbers, booleans, text, lists and nulls are those of JSON, whole numbers with all their digits. Dates
    and times are ISO 8601 text, decimals text with all their digits, and NaN and the infinities the texts
    `nan`, `inf` and `-inf`. The columns keep their order.
    """
    return json.dumps(to_json(row), ensure_ascii=False, allow_nan=False)


def to_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row's values as `to_text` writes them."""
    return {name: _json(value) for name, value in row.items()}


def restore(text: str, schema: pa.Schema) -> dict[str, Any]:
    """The values of a row's text for each column of a schema, null where the text has none.

    Columns that the schema does not have are left out. Raises `ValueError` naming the column whose value is
    not of its type, and for text that is no row.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise ValueError("the text is no row")
    return {column.name: fitted(column, values.get(column.name)) for column in schema}


def fit(schema: pa.Schema, values: Mapping[str, Any], zone: Zone = UTC_ZONE) -> dict[str, Any]:
    """JSON values converted to the types of their columns, see `fitted`.

    Raises `ValueError` naming the first that does not fit.
    """
    if unknown := [name for name in values if name not in schema.names]:
        raise ValueError(f"there is no column '{unknown[0]}' (there: {', '.join(schema.names)})")
    return {name: fitted(schema.field(name), value, zone) for name, value in values.items()}


def fitted(column: pa.Field, value: Any, zone: Zone = UTC_ZONE) -> Any:
    """A JSON value as the Python value of a column's type; raises `ValueError` if it is not of that type.

    A time without an offset is local time of the zone; a whole number is one even if it is written `7.0`; a
    decimal may be a number or text.
    """
    try:
        return _value(column.type, value, zone)
    except (ValueError, TypeError, OverflowError, InvalidOperation, pa.ArrowInvalid):
        shown = json.dumps(value, ensure_ascii=False, default=str)[:_SHOWN]
        raise ValueError(f"column '{column.name}': {shown} is no {column.type}") from None


def _json(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON cannot express NaN and the infinities
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, list):
        return [_json(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value


def _value(kind: pa.DataType, value: Any, zone: Zone) -> Any:
    if value is None:
        return None
    if pa.types.is_list(kind):
        return [_value(kind.value_type, item, zone) for item in _only(list, value)]
    if pa.types.is_decimal(kind):
        return _decimal(kind, value)
    if pa.types.is_timestamp(kind):
        return time_of(_only(str, value), zone)
    read = next((read for test, read in _READERS if test(kind)), None)
    if read is None:
        raise ValueError
    found = read(value)
    pa.scalar(found, kind)  # refuses a number out of range
    return found


def _only(kind: type | tuple[type, ...], value: Any) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError
    return value


def _whole(value: Any) -> int:
    number = int(_only((int, float, Decimal), value))
    if number != value:
        raise ValueError
    return number


def _float(value: Any) -> float:
    if value in ("nan", "inf", "-inf"):
        return float(value)
    number = float(_only((int, float, Decimal), value))
    if isinstance(value, int) and number != value:
        raise ValueError
    return number


def _decimal(kind: pa.DataType, value: Any) -> Decimal:
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(_only((int, str, Decimal), value))
    return Decimal(pa.scalar(number, kind).as_py())  # refuses to lose digits


_READERS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[Any], Any]], ...] = (
    (pa.types.is_boolean, lambda value: _only(bool, value)),
    (pa.types.is_integer, _whole),
    (pa.types.is_floating, _float),
    (pa.types.is_string, lambda value: _only(str, value)),
    (pa.types.is_date, lambda value: date.fromisoformat(_only(str, value))),
)
