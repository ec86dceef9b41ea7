"""Columns of dates and times that are written in a declared form."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from evergreen.calendar import NoSuchTimeError, Zone
from evergreen.rows.local import TIME, moments
from evergreen.shown import shown
from evergreen.time_form import TimeForm

# The directives of a fixed number of digits, and where these stand in ISO 8601.
_DIGITS = {"Y": 4, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2}
_ISO = {"Y": 0, "m": 5, "d": 8, "H": 11, "M": 14, "S": 17}
_EMPTY = b"0000-01-01T00:00:00"
_TO_DAY = 10


def read_form(texts: pa.Array, form: TimeForm, zone: Zone) -> tuple[pa.Array, dict[int, str]]:
    """The texts as days or moments, and by index why one is neither (it is then null).

    `zone` is the pipeline's.
    """
    texts = pc.ascii_trim_whitespace(texts)
    found = _at_once(texts, form, form.zone or zone)
    return (found, {}) if found is not None else _one_by_one(texts, form, zone)


def _at_once(texts: pa.Array, form: TimeForm, zone: Zone) -> pa.Array | None:
    """Fast, for a form of whole digits such as 31.01.2024; None if a text has another, or is no time."""
    if (iso := _iso_texts(texts, form)) is None:
        return None
    try:
        if form.kind == "date":
            return iso.cast(pa.date32())
        times, none = moments(iso.cast(pa.timestamp("us")), zone)
    except pa.ArrowInvalid:
        return None
    return None if none else times


def _iso_texts(texts: pa.Array, form: TimeForm) -> pa.Array | None:
    places, signs, width = _layout(form.form or "")
    there = texts.drop_null()
    if not places or not len(there):
        return None
    offsets = np.frombuffer(there.buffers()[1], np.int32, len(there) + 1, there.offset * 4)
    if not (np.diff(offsets) == width).all():
        return None
    letters = np.frombuffer(there.buffers()[2], np.uint8)[offsets[0] : offsets[-1]].reshape(-1, width)
    length = _TO_DAY if form.kind == "date" else len(_EMPTY)
    iso = np.tile(np.frombuffer(_EMPTY[:length], np.uint8), (len(there), 1))
    for directive, at in places.items():
        digits = letters[:, at : at + _DIGITS[directive]]
        if not ((digits >= ord("0")) & (digits <= ord("9"))).all():
            return None
        iso[:, _ISO[directive] : _ISO[directive] + _DIGITS[directive]] = digits
    if any((letters[:, at] != ord(sign)).any() for at, sign in signs.items()):
        return None
    if (iso[:, :4] == ord("0")).all(axis=1).any():
        return None  # Python has no year 0
    valid = texts.is_valid().to_numpy(zero_copy_only=False)
    ends = np.concatenate(([0], np.cumsum(valid) * length)).astype(np.int32)
    bits = np.packbits(valid, bitorder="little")
    buffers = [pa.py_buffer(bits), pa.py_buffer(ends), pa.py_buffer(iso.tobytes())]
    return pa.Array.from_buffers(pa.string(), len(texts), buffers)


def _layout(form: str) -> tuple[dict[str, int], dict[int, str], int]:
    """Where a form's directives begin, its other signs, and its width; nothing if its width may vary."""
    places: dict[str, int] = {}
    signs: dict[int, str] = {}
    width = at = 0
    while at < len(form):
        if form[at] != "%":
            if not form[at].isascii():
                return {}, {}, 0
            signs[width] = form[at]
            width, at = width + 1, at + 1
            continue
        directive = form[at + 1]
        if directive not in _DIGITS or directive in places:
            return {}, {}, 0
        places[directive] = width
        width, at = width + _DIGITS[directive], at + 2
    return places, signs, width


def _one_by_one(texts: pa.Array, form: TimeForm, zone: Zone) -> tuple[pa.Array, dict[int, str]]:
    """The same for each different text."""
    different = texts.dictionary_encode()
    values: list[date | None] = []
    reasons: dict[int, str] = {}
    for at, text in enumerate(different.dictionary.to_pylist()):
        try:
            values.append(form.read(text, zone))
            continue
        except NoSuchTimeError as error:
            reasons[at] = str(error)
        except (ValueError, OverflowError):
            reasons[at] = f"'{shown(text)}' is no {form}"
        values.append(None)
    kind = pa.date32() if form.kind == "date" else TIME
    found = pa.array(values, kind).take(different.indices)
    if not reasons:
        return found, {}
    rows = enumerate(different.indices.to_pylist())
    return found, {row: reasons[at] for row, at in rows if at in reasons}
