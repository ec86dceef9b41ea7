"""The records of a page that was read before, in a fraction of the memory that their objects take.

The objects of two pages do not fit into a processor's cache together, which slows all work on them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import msgspec

from evergreen.sources.text.csv_text import CsvBlock
from evergreen.sources.text.json_lines import JsonBlock

Packed = bytes | JsonBlock | CsvBlock
"""A block: of JSON the MessagePack of its columns, unless it has values that MessagePack has not."""

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder()
_NOT_PACKED = (UnicodeError, OverflowError, RecursionError, msgspec.MsgspecError)


@dataclass(frozen=True)
class Past:
    """The records of a page, in blocks."""

    blocks: Sequence[Packed]

    def has(self, record: Mapping[str, Any]) -> bool:
        """Whether the record is one of the page's; an absent field is the same as null."""
        return any(_has(block, record) for block in self.blocks)

    def marks(self) -> list[str]:
        """A digest for each record that could be read, in order."""
        return [_mark(record) for record in chain.from_iterable(map(records_of, self.blocks))]


def packed(block: JsonBlock | CsvBlock) -> Packed:
    """The block, packed if that takes less memory."""
    if isinstance(block, CsvBlock):
        return block
    try:
        return _ENCODER.encode(block.columns)
    except _NOT_PACKED:
        return block


def records_of(block: Packed) -> Sequence[Mapping[str, Any]]:
    """The records of a block that could be read; in a packed one an absent field is None."""
    if isinstance(block, bytes):
        columns = _DECODER.decode(block)
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return block.columns.to_pylist() if isinstance(block, CsvBlock) else block.records


def encoded(value: Any) -> bytes:
    """Bytes that are the same for the same value."""
    try:
        return _ENCODER.encode(value)
    except _NOT_PACKED:
        return repr(value).encode("utf-8", "surrogatepass")


def _has(block: Packed, record: Mapping[str, Any]) -> bool:
    wanted = _there(record)
    if not isinstance(block, bytes):
        return wanted in map(_there, records_of(block))
    try:
        # Most records are found to be new by looking for their longest value.
        values = sorted(map(_ENCODER.encode, wanted.values()), key=len, reverse=True)
        if not all(value in block for value in values):
            return False
        wanted = _DECODER.decode(_ENCODER.encode(wanted))
    except _NOT_PACKED:
        return False
    columns = _DECODER.decode(block)
    return wanted.keys() <= columns.keys() and tuple(map(wanted.get, columns)) in zip(
        *columns.values(), strict=True
    )


def _there(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if value is not None}


def _mark(record: Mapping[str, Any]) -> str:
    return hashlib.blake2b(encoded(sorted(_there(record).items())), digest_size=8).hexdigest()
