"""Excel workbooks to rows: the cells of a sheet, read by the rules of CSV."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import IO, Any

import pyarrow as pa
import python_calamine as calamine

from evergreen.calendar import UTC_ZONE, Zone
from evergreen.errors import SourceError, one_line
from evergreen.rows.batches import Rejected, Rows
from evergreen.rows.names import check_declared, check_names
from evergreen.shown import shown
from evergreen.sources.files.locate import LocatedFile
from evergreen.sources.files.workbook import Cells, Workbook
from evergreen.sources.text.column_types import declared_of
from evergreen.sources.text.spool import Prepared, Spool
from evergreen.sources.text.texts import prepare_texts

_BLOCK_ROWS = 16_384
_MOST_BYTES = 512 * 2**20  # of a workbook that is unpacked; a sheet of Excel has at most 1,048,576 rows
_DAMAGE = (calamine.CalamineError, zipfile.BadZipFile, OSError, ValueError)


def read_excel_files(
    files: Sequence[LocatedFile], workbook: Workbook, types: Mapping[str, str], zone: Zone = UTC_ZONE
) -> Rows:
    """The rows of workbooks with the same columns, a workbook in memory at a time.

    The first row of the sheet, or of its `range`, names the columns. A cell has its value, not its form: a
    number is a number, however many digits are shown; a formula is what Excel last computed, and an error
    like #N/A is null. A column's type is found as in CSV: see `text.types.read`. Rows without any value are
    none. Raises `SourceError` for a damaged workbook, a sheet that is not there, and headers that differ.
    """
    spool = Spool(types, zone)
    first: tuple[str, list[str]] | None = None
    try:
        for located in files:
            sheet_name, header, rows = _sheet(located, workbook)
            first = first or (located.name, header)
            if set(header) != set(first[1]):
                differing = ", ".join(sorted(set(header) ^ set(first[1]))[:10])
                raise SourceError(
                    f"{located.name} and {first[0]} differ in the columns {differing}: fix them"
                )
            check_declared(declared_of(types), header)
            spool.expect(header)
            while block := list(islice(rows, _BLOCK_ROWS)):
                spool.keep(_prepared(block, header, spool, f"{located.name}, {sheet_name}"))
        return spool.rows()
    except BaseException:
        spool.close()
        raise


_Row = tuple[int, list[str | None]]
"""A row's number in the sheet, and its cells' texts."""


def _prepared(block: list[_Row], header: list[str], spool: Spool, where: str) -> Prepared:
    texts = zip(*(cells for _, cells in block), strict=True)
    batch = pa.RecordBatch.from_arrays([pa.array(column, pa.string()) for column in texts], header)
    prepared, misfits = prepare_texts(spool.types, spool.known, batch, spool.zone)
    rejected = tuple(
        Rejected(_shown_row(header, block[at][1]), f"{where}, row {block[at][0]}", reason)
        for at, reason in sorted(misfits.items())
    )
    return Prepared(prepared.batches, texts=prepared.texts, known=prepared.known, rejected=rejected)


def _shown_row(header: Sequence[str], cells: Sequence[str | None]) -> str:
    return json.dumps(dict(zip(header, cells, strict=True)), ensure_ascii=False)


def _sheet(located: LocatedFile, workbook: Workbook) -> tuple[str, list[str], Iterator[_Row]]:
    """The sheet's name, its header, and the rows below it that have a value."""
    with located.open() as file:
        try:
            _check_size(file, located.name)
            book = calamine.CalamineWorkbook.from_filelike(file)
            name = _name(book, workbook.sheet, located.name)
            sheet = book.get_sheet_by_name(name)
            rows = _rows(sheet, workbook.cells)
            header = next(rows, None)
        except _DAMAGE as error:
            reason = one_line(error, 200)
            raise SourceError(
                f"{located.name} is not a complete workbook ({reason}): save it again"
            ) from None
    if header is None:
        raise SourceError(
            f"{located.name}: the sheet '{shown(name)}' has no header: it is empty there: name another "
            "sheet or range in the source's excel"
        )
    names = _header(header[1], f"{located.name}, {name}")
    return name, names, (row for row in rows if any(cell is not None for cell in row[1]))


def _check_size(file: IO[bytes], name: str) -> None:
    with zipfile.ZipFile(file) as packed:
        size = sum(member.file_size for member in packed.infolist())
    if size > _MOST_BYTES:
        raise SourceError(f"{name} has {size:,} bytes unpacked, more than a workbook should: save it as CSV")
    file.seek(0)


def _name(book: calamine.CalamineWorkbook, wanted: str | int | None, file: str) -> str:
    names = book.sheet_names
    if isinstance(wanted, str) and wanted in names:
        return wanted
    if not isinstance(wanted, str) and 1 <= (wanted or 1) <= len(names):
        return str(names[(wanted or 1) - 1])
    there = ", ".join(map(shown, names))
    raise SourceError(f"{file} has no sheet '{wanted}' (there: {there}): change the source's excel.sheet")


def _rows(sheet: calamine.CalamineSheet, cells: Cells | None) -> Iterator[_Row]:
    top, left = sheet.start or (0, 0)
    # The library gives all rows of a sheet, but its columns only from the first one with a value on.
    for number, row in enumerate(sheet.iter_rows(), 1):
        if cells is None:
            if number > top:
                yield number, [_text(cell) for cell in row]
            continue
        if number > cells.last_row:
            return
        if number >= cells.first_row:
            wanted = range(cells.first_column - left, cells.last_column - left + 1)
            yield number, [_text(row[at]) if 0 <= at < len(row) else None for at in wanted]


def _header(cells: Sequence[str | None], where: str) -> list[str]:
    names = [cell or "" for cell in cells]
    try:
        check_names(names)
    except SourceError as error:
        raise SourceError(
            f"{where}: {error}, or give the cells that hold the table as the source's excel.range, like "
            "B3:F200"
        ) from None
    return names


def _text(cell: Any) -> str | None:
    """The text of a cell, as the same value stands in CSV."""
    if cell is None or cell == "":
        return None
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 2**63 else repr(cell)
    if isinstance(cell, datetime | date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        minutes, seconds = divmod(int(cell.total_seconds()), 60)
        return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"
    return str(cell)
