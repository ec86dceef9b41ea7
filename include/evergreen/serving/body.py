"""The body of a request for predictions: what its rows and fields are, and how both are read from JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa

from evergreen.serving.refused import RequestRefusedError
from evergreen.shown import shown

WRONG = 422
"""The status of a body that is not what is asked for."""

_FORM = 'send {"rows": [{...}, ...]}'
_FIELDS = {"rows", "whole"}
_plain = msgspec.json.Decoder()
_exact = msgspec.json.Decoder(float_hook=Decimal)


@dataclass(frozen=True)
class Body:
    """The raw rows of a request, as objects of JSON or columns of Arrow.

    `whole` says that they are all rows of their partitions.
    """

    rows: list[Any] | pa.Table
    whole: bool = False

    def taken(self, places: Sequence[int]) -> list[Any] | pa.Table:
        """The rows at these places."""
        if isinstance(self.rows, pa.Table):
            return self.rows.take(pa.array(places, pa.int64()))
        return [self.rows[at] for at in places]


def read_body(text: bytes, *, exact: bool, most_rows: int) -> Body:
    """The body of a request; with `exact`, numbers with a fraction come as `Decimal`.

    Raises `RequestRefusedError`: 422 for what is no JSON of this form, a key that comes twice in an object,
    and no rows; 413 for more than `most_rows`.
    """
    found = read_json(text, exact=exact)
    if not isinstance(found, dict):
        raise RequestRefusedError(WRONG, f"the body is no JSON object: {_FORM}")
    if unknown := sorted(found.keys() - _FIELDS):
        raise RequestRefusedError(WRONG, f"the body has the field '{shown(unknown[0])}': {_FORM}")
    rows, whole = found.get("rows"), found.get("whole", False)
    if not isinstance(rows, list):
        raise RequestRefusedError(WRONG, f"the body has no list of 'rows': {_FORM}")
    if not isinstance(whole, bool):
        raise RequestRefusedError(WRONG, "the body's 'whole' is neither true nor false")
    check_count(len(rows), most_rows)
    return Body(rows, whole)


def check_count(rows: int, most: int) -> None:
    """Raise `RequestRefusedError` for no rows (422), and for more than `most` (413)."""
    if not rows:
        raise RequestRefusedError(WRONG, "the body has no row: send one at least")
    if rows > most:
        raise RequestRefusedError(413, f"{rows:,} rows are more than {most:,}: send several requests")


def read_json(text: bytes, *, exact: bool = False) -> Any:
    """What a JSON text says, by the standard: no NaN, no infinity, no key twice, no lone surrogate.

    Raises `RequestRefusedError` (422).
    """
    try:
        found = (_exact if exact else _plain).decode(text)
    except RecursionError:
        raise RequestRefusedError(WRONG, "the body is nested too deeply: send flat rows") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise RequestRefusedError(WRONG, f"the body is not JSON: {shown(str(error))}") from None
    if _may_repeat(text, found):
        _check_unrepeated(text)
    return found


def _may_repeat(text: bytes, found: Any) -> bool:
    """Whether a key may come twice in an object: what was read then has fewer quotes than its text.

    Of a text with escapes, whose quotes cannot be counted, it is not known.
    """
    return b"\\" in text or text.count(b'"') != msgspec.json.encode(found).count(b'"')


def _check_unrepeated(text: bytes) -> None:
    def unrepeated(pairs: Iterable[tuple[str, Any]]) -> None:
        names = Counter(name for name, _ in pairs)
        if twice := [name for name, count in names.items() if count > 1]:
            raise RequestRefusedError(WRONG, f"an object has the key '{shown(twice[0])}' twice: send it once")

    try:
        json.loads(text, object_pairs_hook=unrepeated, parse_int=str, parse_float=str)
    except RecursionError:
        raise RequestRefusedError(WRONG, "the body is nested too deeply: send flat rows") from None
