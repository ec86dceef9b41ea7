"""Streams of Arrow's IPC format, whole and damaged."""

from __future__ import annotations

import random

import pyarrow as pa

_EXTREMES = (b"\xff" * 8, b"\0" * 8, b"\xff" * 7 + b"\x7f", (2**31).to_bytes(8, "little"))


def streamed(table: pa.Table, compression: str | None = None) -> bytes:
    """The table as a stream."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, table.schema, options=options) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())


def damaged(stream: bytes, number: int) -> bytes:
    """The stream with up to eight damages that follow from the number: bytes changed, gone, or repeated."""
    draw, found = random.Random(number), bytearray(stream)
    for _ in range(draw.choice((1, 1, 2, 8))):
        at = draw.randrange(len(found) or 1)
        length = draw.randrange(1, 64)
        match draw.randrange(6):
            case 0:
                found[at : at + 1] = bytes([draw.randrange(256)])
            case 1:
                found[at : at + 1] = bytes([found[at] ^ 1 << draw.randrange(8)]) if found else b""
            case 2:
                found[at // 8 * 8 : at // 8 * 8 + 8] = draw.choice(_EXTREMES)
            case 3:
                del found[at : at + length]
            case 4:
                found[at:at] = found[at : at + length]
            case _:
                del found[max(at, 1) :]
    return bytes(found)
