"""How numbers are written in text: the decimal sign, and what stands between groups of three digits."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# What a description's sign stands for in a text, as a class of letters.
_VARIANTS = {" ": " \u00a0\u202f", "'": "'\u2019"}


class NumberForm(NamedTuple):
    """The signs in numbers, such as `,` and `.` in 1.234,50; `thousands` is empty where there is none."""

    decimal: str = "."
    thousands: str = ""

    def plain(self, texts: pa.Array) -> pa.Array:
        """The texts with the numbers among them in plain notation: 1.234,50 as 1234.50.

        No other text becomes a number: a group of digits must have three of them, and a sign that the form
        does not have is exchanged for one that no number has.
        """
        if self == PLAIN:
            return texts
        return self._with_points(self._without_groups(texts))

    def _without_groups(self, texts: pa.Array) -> pa.Array:
        letters = _VARIANTS.get(self.thousands, self.thousands)
        data = _data(texts)
        if not any(letter.encode() in data for letter in letters):
            return texts
        group = f"[{re.escape(letters)}]"
        number = rf"^\s*[+-]?[1-9][0-9]{{0,2}}({group}[0-9]{{3}})+({re.escape(self.decimal)}[0-9]*)?\s*$"
        grouped = pc.match_substring_regex(texts, number)
        if not pc.any(grouped).as_py():
            return texts
        digits = pc.replace_substring_regex(pc.ascii_trim_whitespace(texts), group, "")
        return pc.if_else(grouped, digits, texts)

    def _with_points(self, texts: pa.Array) -> pa.Array:
        if self.decimal == ".":
            return texts
        data = _data(texts)
        if b"." not in data and b"," not in data:
            return texts
        # Exchanged, so that 1.5 becomes 1,5, which is no number.
        data = data.translate(_EXCHANGED)
        offsets = np.frombuffer(texts.buffers()[1], np.int32, len(texts) + 1, texts.offset * 4)
        valid = np.packbits(texts.is_valid().to_numpy(zero_copy_only=False), bitorder="little")
        buffers = [pa.py_buffer(valid), pa.py_buffer(offsets - offsets[0]), pa.py_buffer(data)]
        return pa.Array.from_buffers(texts.type, len(texts), buffers)


PLAIN = NumberForm()
"""Numbers as JSON, Python and most of the world's software write them."""

_EXCHANGED = bytes.maketrans(b".,", b",.")


def _data(texts: pa.Array) -> bytes:
    """The bytes of all texts, one after another."""
    if not len(texts):
        return b""
    offsets = np.frombuffer(texts.buffers()[1], np.int32, len(texts) + 1, texts.offset * 4)
    data = texts.buffers()[2]
    begin, end = int(offsets[0]), int(offsets[-1])
    return data.slice(begin, end - begin).to_pybytes() if data is not None else b""
