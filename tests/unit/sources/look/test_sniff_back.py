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

from evergreen.errors import EvergreenError
from evergreen.look import look_at
from evergreen.sources import Source
from evergreen.sources.files.locate import LocatedFile
from evergreen.sources.files.read import read_file
from evergreen.sources.files.text_files import read_csv_files
from evergreen.sources.look.sniff.dialect import sniff_csv

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


LETTERS = "aäßéñŁ€ß1,;.|\t'\"#-_ \n\r2/:%"
TEXT_ENCODINGS = [*ENCODINGS, "utf-32", "latin-1", "cp1250"]
NAMED = ["one", "two", "three"]
TOLD = ("header: the first line is supposed", "types", "nulls", "time_column", "numbers")
"""The doubts that do not concern how the text is divided into fields."""


def texts(seed: int) -> tuple[list[list[str]], bytes]:
    """A table of hostile texts and the bytes that it was written as, with comments and lines above."""
    draw = random.Random(seed)
    encoding = draw.choice(TEXT_ENCODINGS)

    def text() -> str:
        letters = "".join(draw.choices(LETTERS, k=draw.randint(0, 6)))
        chosen = draw.choice([letters, letters, "NA", "-", "x" * 50, "Hello", "12", "1,5", ""])
        return chosen.encode(encoding, "ignore").decode(encoding)

    rows = [[text() for _ in NAMED] for _ in range(draw.randint(0, 12))]
    comments = draw.choice([[], ["#\r\n", '# it\'s "so"\n', "#a,b,c\r\n"]])
    out = io.StringIO(newline="")
    out.writelines(f"title, '{number}'\n" for number in range(draw.randint(0, 2)))
    writer = csv.writer(
        out,
        delimiter=draw.choice(",;\t|"),
        quotechar=draw.choice("\"'"),
        quoting=draw.choice([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    )
    writer.writerow(NAMED)
    for row in rows:
        if comments and draw.random() < 0.3:
            out.write(draw.choice(comments))
        writer.writerow(row)
    return rows, out.getvalue().encode(encoding)


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


def test_hostile_texts_are_divided_rightly_or_a_doubt_is_said(tmp_path: Path) -> None:
    path, sure = tmp_path / "a.csv", 0
    for seed in range(TABLES):
        rows, content = texts(seed)
        path.write_bytes(content)
        found = sniff_csv("a.csv", content, is_cut=False)
        if any(not doubt.startswith(TOLD) for doubt in found.doubts):
            continue
        sure += 1
        assert list(found.texts) == NAMED, (seed, content)
        got = read_csv_files([LocatedFile("a.csv", path)], found.dialect, dict.fromkeys(NAMED, "text"))
        nulls = {"", *found.dialect.nulls}
        expected = [tuple(None if text in nulls else text for text in row) for row in rows]
        assert [tuple(row.values()) for row in got.table().to_pylist()] == expected, (seed, content)
        assert got.rejected == []
    assert sure > TABLES * 0.5, sure


def damaged(seed: int) -> bytes:
    """A table with bytes that were changed, taken out, put in and doubled."""
    draw = random.Random(seed)
    found = bytearray(written(seed).content if seed % 2 else texts(seed)[1])
    for _ in range(draw.choice([1, 3, 10])):
        at = draw.randrange(len(found) + 1)
        match draw.randrange(3):
            case 0:
                found[at : at + 1] = draw.randbytes(1)
            case 1:
                del found[at : at + draw.randint(1, 20)]
            case _:
                found[at:at] = draw.choice(
                    [b'"', b"'", b"\n", b"\0", b";", b"\r", b"#", bytes(found[:at][-20:])]
                )
    return bytes(found)


def test_a_damaged_file_ends_in_a_description_that_reads_it_or_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for seed in range(TABLES):
        path.write_bytes(damaged(seed))
        try:
            found = look_at(str(path))
        except EvergreenError as error:
            assert len(str(error).splitlines()) == 1  # noqa: PT017 - what it says is the point
            continue
        (described,) = yaml.safe_load(found.yaml)["sources"].values()
        source = Source.model_validate(described)
        rows = read_file(source.config, tmp_path, None, "snapshot", None)  # type: ignore[arg-type]
        assert (rows.table().num_rows, len(rows.rejected)) == (found.rows, found.rejected), seed
