"""Tensors of the Open Inference Protocol, version 2: as JSON, and as bytes behind the JSON (its extension).

See https://github.com/kserve/open-inference-protocol, `inference_rest.md`, and the extension
`binary_tensor_data`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from evergreen.serving.body import WRONG
from evergreen.serving.refused import RequestRefusedError
from evergreen.shown import shown

TYPES: Mapping[str, np.dtype[Any]] = {
    "BOOL": np.dtype("bool"),
    **{f"UINT{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
    "BYTES": np.dtype(object),
}
"""NumPy's type of each datatype; texts are `BYTES`."""

_NAMES = {kind: name for name, kind in TYPES.items()}
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class Tensor:
    """A named array of one of `TYPES`; missing texts are None, missing floats NaN."""

    name: str
    values: np.ndarray = field(repr=False)

    @property
    def datatype(self) -> str:
        """What the protocol calls its type."""
        return _NAMES[self.values.dtype]

    def document(self) -> dict[str, Any]:
        """The tensor as JSON, its data in one flat list, null where a value is missing."""
        data = self.values.ravel().tolist()
        return self._head | {"data": [None if one != one else one for one in data]}  # noqa: PLR0124 - NaN

    def packed(self) -> tuple[dict[str, Any], bytes]:
        """The tensor as JSON without its data, and the data as bytes."""
        body = _packed_texts(self.values.ravel()) if self.datatype == "BYTES" else self.values.tobytes()
        return self._head | {"parameters": {"binary_data_size": len(body)}}, body

    @property
    def _head(self) -> dict[str, Any]:
        return {"name": self.name, "shape": list(self.values.shape), "datatype": self.datatype}


def read_tensors(inputs: Any, packed: bytes) -> list[Tensor]:
    """The tensors that `inputs` describes, whose data are in it or, in its order, in `packed`.

    Raises `RequestRefusedError` (422) for what is none.
    """
    if not isinstance(inputs, list) or not inputs:
        raise _wrong("the request has no list of 'inputs'")
    found, at = [], 0
    for number, given in enumerate(inputs):
        if not isinstance(given, dict) or not isinstance(name := given.get("name"), str):
            raise _wrong(f"input {number} has no name")
        where = f"input '{shown(name)}'"
        shape, datatype = _shape(given.get("shape"), where), given.get("datatype")
        if not isinstance(datatype, str) or datatype not in TYPES:
            raise _wrong(f"{where} is of no datatype that there is: {', '.join(TYPES)}")
        parameters = given.get("parameters") or {}
        size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
        if size is None:
            values = _of_json(given.get("data"), datatype, where)
        else:
            if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(packed) - at:
                raise _wrong(f"{where} has no {shown(size)} bytes behind the JSON")
            values = _of_bytes(packed[at : at + size], datatype, where)
            at += size
        if len(values) != math.prod(shape):
            raise _wrong(f"{where} has {len(values):,} values, and its shape {math.prod(shape):,}")
        found.append(Tensor(name, values.reshape(shape)))
    if at != len(packed):
        raise _wrong(f"{len(packed) - at:,} bytes behind the JSON belong to no input")
    return found


def _shape(shape: Any, where: str) -> tuple[int, ...]:
    fits = isinstance(shape, list) and all(type(one) is int and 0 <= one < 2**31 for one in shape)
    if not fits or not 1 <= len(shape) <= 2:
        raise _wrong(f"{where} has no shape of one or two dimensions")
    return tuple(shape)


def _of_json(data: Any, datatype: str, where: str) -> np.ndarray:
    if not isinstance(data, list):
        raise _wrong(f"{where} has no 'data'")
    nested = data and all(isinstance(part, list) for part in data)
    flat = [one for part in data for one in part] if nested else data
    kinds: dict[str, set[type]] = {"BOOL": {bool}, "BYTES": {str, type(None)}}
    allowed = {int, float, type(None)} if datatype.startswith("FP") else kinds.get(datatype, {int})
    if not set(map(type, flat)) <= allowed:
        raise _wrong(f"{where} has a value that is no {datatype}")
    kind = TYPES[datatype]
    try:
        with np.errstate(over="raise"):
            return np.array(
                [math.nan if one is None else one for one in flat] if kind.kind == "f" else flat, kind
            )
    except (OverflowError, FloatingPointError, ValueError, TypeError):
        raise _wrong(f"{where} has a value beyond the range of {datatype}") from None


def _of_bytes(body: bytes, datatype: str, where: str) -> np.ndarray:
    if datatype == "BYTES":
        return _unpacked_texts(body, where)
    kind = TYPES[datatype]
    if len(body) % kind.itemsize:
        raise _wrong(f"{where} has {len(body)} bytes, which is no multiple of {kind.itemsize}")
    if datatype == "BOOL" and any(one > 1 for one in body):
        raise _wrong(f"{where} has a byte that is neither 0 nor 1")
    return np.frombuffer(body, kind)


def _packed_texts(texts: Iterable[Any]) -> bytes:
    bodies = [("" if text is None else str(text)).encode() for text in texts]
    return b"".join(_LENGTH.pack(len(body)) + body for body in bodies)


def _unpacked_texts(body: bytes, where: str) -> np.ndarray:
    texts: list[str] = []
    at = 0
    try:
        while at < len(body):
            (length,) = _LENGTH.unpack_from(body, at)
            at += _LENGTH.size + length
            if at > len(body):
                raise ValueError
            texts.append(body[at - length : at].decode())
    except (struct.error, ValueError):
        raise _wrong(f"{where} has bytes that are no texts with their lengths") from None
    return np.array([*texts, None], object)[:-1]  # the None keeps an empty array one of objects


def _wrong(why: str) -> RequestRefusedError:
    return RequestRefusedError(WRONG, why)


def packed_length(told: str | None, body: bytes) -> int:
    """How long the JSON at the beginning of a body is, as its header tells; all of it without one."""
    if told is None:
        return len(body)
    if not (told.isascii() and told.isdigit()) or int(told) > len(body):
        raise _wrong(
            f"Inference-Header-Content-Length is '{shown(told)}', and the body has {len(body):,} bytes"
        )
    return int(told)


def columns_of(tensors: Sequence[Tensor]) -> dict[str, np.ndarray]:
    """The values (n,) of tensors by name, which all have n rows. Raises `RequestRefusedError` (422)."""
    columns: dict[str, np.ndarray] = {}
    for tensor in tensors:
        if tensor.values.ndim == 2 and tensor.values.shape[1] != 1:
            raise _wrong(
                f"input '{shown(tensor.name)}' has {tensor.values.shape[1]} columns and must have one"
            )
        if tensor.name in columns:
            raise _wrong(f"input '{shown(tensor.name)}' comes twice")
        columns[tensor.name] = tensor.values.reshape(len(tensor.values))
    lengths = set(map(len, columns.values()))
    if len(lengths) != 1:
        raise _wrong(f"the inputs have {' and '.join(map(str, sorted(lengths)))} rows: all must have as many")
    return columns
