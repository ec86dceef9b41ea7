"""The tables of docs/types.md that say what the types of a database become."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake.schema import ArrayType, Schema

ROOT = Path(__file__).resolve().parents[3]


def documented(database: str) -> list[list[str]]:
    """The rows of the database's table: its type, Arrow's, Delta's; without the marks of Markdown."""
    text = (ROOT / "docs" / "types.md").read_text(encoding="utf-8")
    section = text.partition(f"\n| {database} | Arrow | Delta |\n")[2].partition("\n\n")[0]
    lines = section.splitlines()[1:]
    assert lines, database
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines]


def seen(table: pa.Table, types: list[str]) -> list[list[str]]:
    """What the page has to say: a column of the table for each of the types."""
    columns = zip(types, table.schema, strict=True)
    return [[name, str(field.type), _delta(field.type)] for name, field in columns]


def _delta(kind: pa.DataType) -> str:
    field: Any = Schema.from_arrow(pa.schema([("x", kind)])).fields[0].type
    return f"array<{field.element_type.type}>" if isinstance(field, ArrayType) else str(field.type)
