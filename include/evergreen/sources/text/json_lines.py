"""JSON lines to rows: an object a line."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from evergreen.errors import SourceError
from evergreen.rows.batches import Rows
from evergreen.sources.files.decompress import plain_chunks
from evergreen.sources.files.locate import LocatedFile
from evergreen.sources.text.lines import NOT_UTF8, TOO_LONG, LineBlock, Rejections, line_blocks
from evergreen.sources.text.records import RecordSpool

_CHUNK = 2**20  # as Python objects it is many times that


def read_json_files(files: Sequence[LocatedFile], types: Mapping[str, str]) -> Rows:
    """The rows of files of JSON lines, with types as in `RecordSpool`; a file without bytes has no rows.

    A line that holds no JSON object, or a value that does not fit a declared type, is rejected; a blank one
    is none. Raises `SourceError` as `RecordSpool.add` does.
    """
    spool, rejections = RecordSpool(types), Rejections()
    decode = _decoder(types)
    try:
        for located in files:
            with located.open() as file:
                for block in line_blocks(plain_chunks(file, located.name, _CHUNK)):
                    _add(spool, block, located.name, rejections, decode)
        return spool.rows()
    except BaseException:
        spool.close()
        raise


def _decoder(types: Mapping[str, str]) -> Callable[[str], Any]:
    # A decimal keeps digits that a float would lose.
    if any(name.startswith("decimal") for name in types.values()):
        return json.JSONDecoder(parse_float=Decimal).decode
    return json.JSONDecoder().decode


def _add(
    spool: RecordSpool, block: LineBlock, name: str, rejections: Rejections, decode: Callable[[str], Any]
) -> None:
    records: list[dict[str, Any]] = []
    numbers: list[int] = []
    lines = [block.text] if block.is_cut else block.text.split(b"\n")
    for number, line in enumerate(lines, block.first):
        found = TOO_LONG if block.is_cut else _object(line, decode)
        if isinstance(found, dict):
            records.append(found)
            numbers.append(number)
        elif found:
            spool.add_rejected(rejections.add(line, f"{name}:{number}", found))
    try:
        spool.add(records, lambda at: f"{name}:{numbers[at]}")
    except SourceError as error:
        raise SourceError(f"{name}: lines {block.first} and following: {error}") from None


def _object(line: bytes, decode: Callable[[str], Any]) -> dict[str, Any] | str:
    """The object on a line, or the reason there is none; empty for a blank line."""
    if not line.strip():
        return ""
    try:
        value = decode(line.decode())
    except UnicodeDecodeError:
        return NOT_UTF8
    except json.JSONDecodeError as error:
        return f"is not JSON: {error}"
    except RecursionError:
        return "is nested too deeply"
    except ValueError:
        return "holds a number of too many digits"
    return value if isinstance(value, dict) else "is no JSON object"
