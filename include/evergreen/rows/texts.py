"""Which columns are text, and which text the lake can hold."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

NUL = "text with a NUL, which PostgreSQL cannot store"


_CODE = r"^\s*(0[0-9]+|[0-9]{16,})\s*$"
"""Digits that no number keeps: zeros at their beginning, or more of them than a float64 has (15)."""


def is_list(kind: pa.DataType) -> bool:
    """Whether a type is a list of any form."""
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def is_text(kind: pa.DataType) -> bool:
    """Whether a type is text of any form."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def codes_among(texts: pa.Array) -> pa.Array:
    """Of texts (n,) which are codes of digits (n,), such as 01234: a number would not keep them."""
    return pc.match_substring_regex(texts, _CODE)


def are_codes(texts: pa.Array | pa.ChunkedArray) -> bool:
    """Whether all texts are digits, and one is a code: then the others are codes too. Nulls are no texts."""
    there = pc.unique(texts).drop_null()
    if not len(there) or not pc.any(codes_among(there)).as_py():
        return False
    return bool(pc.all(pc.match_substring_regex(there, r"^\s*[0-9]+\s*$")).as_py())


def check_texts(values: pa.Array) -> None:
    """Raise `pa.ArrowInvalid` for text, also in lists, with a NUL or bytes that are not UTF-8."""
    while is_list(values.type):
        values = values.flatten()
    if not is_text(values.type):
        return
    values.validate(full=True)
    if has_nul(values):
        raise pa.ArrowInvalid(NUL)


def has_nul(values: pa.Array) -> bool:
    """Whether a text has a NUL, which PostgreSQL cannot store; False for other types."""
    if not is_text(values.type) or not len(values):
        return False
    is_plain = pa.types.is_string(values.type)
    values = values if is_plain else values.cast(pa.large_string())
    _, ends, letters = values.buffers()
    begin, end = np.frombuffer(ends, np.int32 if is_plain else np.int64)[
        [values.offset, values.offset + len(values)]
    ]
    return letters is not None and b"\0" in letters[begin:end].to_pybytes()
