"""Tables in random dialects are read back by the description that a look writes, or a doubt is said."""

from __future__ import annotations

import csv
import io
import random
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from evergreen.look.source import look_at
from evergreen.sources import Source
from evergreen.sources.files.read import read_file

NAMES = ["id", "day", "city", "amount", "note", "open"]
CITIES = ["Köln", "Zürich", "Besançon", "Paris", "New York", 'The "Hague"', "A, b; c | d\t", "O'Hara", "x\ny"]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]
SIGNS = [(".", ""), (",", ""), (",", "."), (".", ","), (",", " "), (".", "'"), (",", "\u00a0")]
FORMS = ["%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d.%m.%y", "%d-%b-%Y"]
ABOVE = [[], [], ["Report of the week"], ["Ventes par magasin", ""], ["# made by x"], ["#", "# x, y; z"]]
NOTES = ["", "a", "b"]
TABLES = 150


@dataclass(frozen=True)
class Written:
    """A table, and the bytes that it was written as."""

    rows: list[tuple[Any, ...]]
    content: bytes


def written(seed: int) -> Written:
    """A table in a dialect, both drawn by the seed."""
    draw = random.Random(seed)
    decimal, thousands = draw.choice(SIGNS)
    form, null = draw.choice(FORMS), draw.choice(["", "", "NA", "-", "\\N", "NULL"])

    def number(cents: int | None) -> str:
        if cents is None:
            return null
        return f"{cents / 100:,.2f}".translate({ord(","): thousands, ord("."): decimal})

    def cents() -> int | None:
        return draw.choice([None, draw.randint(-(10**4), 10**4), draw.randint(-(10**8), 10**8)])

    count = draw.choice([1, 2, 3, 10, 40, 200])
    first = date(2020, 1, 1) + timedelta(draw.randint(0, 1500))
    rows = [
        (
            float(at),
            first + timedelta(at),
            draw.choice(CITIES),
            cents(),
            draw.choice(["", "a", "b"]),
            at % 3 == 0,
        )
        for at in range(1, count + 1)
    ]
    out = io.StringIO(newline="")
    out.writelines(f"{line}\r\n" for line in draw.choice(ABOVE))
    writer = csv.writer(
        out,
        delimiter=draw.choice([",", ";", "\t", "|"]),
        quotechar=draw.choice(['"', '"', "'"]),
        quoting=draw.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
        lineterminator=draw.choice(["\r\n", "\n"]),
    )
    if draw.random() < 0.7:
        writer.writerow(NAMES)
    for at, day, city, amount, note, is_open in rows:
        writer.writerow([int(at), day.strftime(form), city, number(amount), note, str(is_open).lower()])
    expected = [
        (at, day, city, None if amount is None else amount / 100, note or None, is_open)
        for at, day, city, amount, note, is_open in rows
    ]
    return Written(expected, out.getvalue().encode(draw.choice(ENCODINGS)))


def read(text: str) -> list[tuple[Any, ...]]:
    """The rows that a description reads, all of which it can read."""
    (described,) = yaml.safe_load(text)["sources"].values()
    source = Source.model_validate(described)
    rows = read_file(source.config, Path.cwd(), None, "snapshot", None)  # type: ignore[arg-type]
    table = rows.table()
    assert rows.rejected == []
    return [tuple(map(plain, row.values())) for row in table.to_pylist()]


def plain(value: Any) -> Any:
    """A time column's days are moments."""
    return value.date() if isinstance(value, datetime) else value


def test_a_table_is_read_back_or_a_doubt_is_said(tmp_path: Path) -> None:
    path, sure = tmp_path / "a.csv", 0
    for seed in range(TABLES):
        table = written(seed)
        path.write_bytes(table.content)
        found = look_at(str(path), None, 100_000)
        rows = read(found.yaml)
        if not found.unsure:
            sure += 1
            assert rows == table.rows, (seed, table.content[:300], found.yaml)
    assert sure > TABLES * 0.5, sure
