"""Text that is a number, a truth value, a date or a time: a column is one only if every value is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from evergreen.ingestion.columns import TIME

IN_JSON = ("instant",)
"""What JSON text may be read as: JSON has numbers and truth values of its own."""

IN_CSV = ("float", "boolean", "date", "time")
"""What CSV text may be read as, in order of preference."""


def read_text(texts: pa.Array, reading: str) -> pa.Array | None:
    """The texts as `float`, `boolean`, `date`, `time` (without an offset: UTC) or `instant` (with one).

    Returns None if one of them is not of that kind. A null stays null.
    """
    return _READERS[reading](texts)


def arrow_type(reading: str) -> pa.DataType:
    """The type that `read_text` gives."""
    return {"float": pa.float64(), "boolean": pa.bool_(), "date": pa.date32()}.get(reading, TIME)


def time_of(text: str, needs_offset: bool = False) -> datetime:
    """The time that an ISO 8601 text says, in UTC; raises `ValueError` for other text."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None and needs_offset:
        raise ValueError("no offset")
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)


def _cast(kind: pa.DataType) -> Callable[[pa.Array], pa.Array | None]:
    def read(texts: pa.Array) -> pa.Array | None:
        try:
            return texts.cast(kind)
        except pa.ArrowInvalid:
            return None

    return read


def _time(texts: pa.Array) -> pa.Array | None:
    first = texts.drop_null()[:1].to_pylist()
    naive = None if first and first[0].endswith("Z") else _cast(pa.timestamp("us"))(texts)
    return _times(texts, needs_offset=False) if naive is None else pc.assume_timezone(naive, "UTC")


def _instant(texts: pa.Array) -> pa.Array | None:
    return _times(texts, needs_offset=True)


def _times(texts: pa.Array, needs_offset: bool) -> pa.Array | None:
    # Arrow's parser is fast, Python's knows all of ISO 8601; ordinary text fails at its first value.
    first = texts.drop_null()[:1].to_pylist()
    try:
        for text in first:
            time_of(text, needs_offset)
        read = _cast(TIME)(texts)
        if read is None:
            times = [None if text is None else time_of(text, needs_offset) for text in texts.to_pylist()]
            read = pa.array(times, TIME)
    except (ValueError, OverflowError):
        return None
    return read


_READERS: dict[str, Callable[[pa.Array], pa.Array | None]] = {
    "float": _cast(pa.float64()),
    "boolean": _cast(pa.bool_()),
    "date": _cast(pa.date32()),
    "time": _time,
    "instant": _instant,
}
