"""Files of CSV and JSON lines to rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evergreen.calendar import UTC_ZONE, Zone
from evergreen.errors import SourceError
from evergreen.rows.batches import Rows
from evergreen.shown import shown
from evergreen.sources.files.decompress import plain_chunks
from evergreen.sources.files.locate import LocatedFile
from evergreen.sources.text.csv_text import CsvText
from evergreen.sources.text.dialect import CsvDialect
from evergreen.sources.text.json_lines import decoder, read_lines
from evergreen.sources.text.lines import Place, line_blocks
from evergreen.sources.text.spool import Spool

_JSON_CHUNK = 2**20  # as Python objects it is many times that


def read_csv_files(
    files: Sequence[LocatedFile],
    dialect: CsvDialect,
    types: Mapping[str, str],
    zone: Zone = UTC_ZONE,
    *,
    most: int | None = None,
) -> Rows:
    """The rows of CSV files with the same columns, which stand in the order of the first file.

    With `most` the read ends with the block that has the record of that number.

    A column's type is the declared one, else it is found in all its values: see `text.types.read`. A record
    that cannot be read, or holds a value that does not fit a declared type, is rejected. Raises `SourceError`
    for a file without a header, a header that names a column twice or not at all, and headers that differ.
    """
    spool = Spool(types, zone)
    try:
        first: CsvText | None = None
        count = 0
        for located in files:
            with located.open() as file:
                text = CsvText(located.name, plain_chunks(file, located.name), dialect)
                first = first or text
                _check_same(first, text)
                spool.expect(text.header)
                for block in text.blocks():
                    spool.keep(block.prepare(types, spool.known, _place(located), zone))
                    count += len(block)
                    if most is not None and count >= most:
                        return spool.rows()
        return spool.rows()
    except BaseException:
        spool.close()
        raise


def read_json_files(
    files: Sequence[LocatedFile],
    types: Mapping[str, str],
    zone: Zone = UTC_ZONE,
    *,
    most: int | None = None,
) -> Rows:
    """The rows of files of JSON lines; a file without bytes has no rows.

    With `most` the read ends with the block that has the record of that number.

    Types are as `prepare_records` says. A line that holds no JSON object, or a value that does not fit a
    declared type, is rejected; a blank one is none. Raises `SourceError` as `prepare_records` does.
    """
    spool = Spool(types, zone)
    try:
        count = 0
        for located in files:
            with located.open() as file:
                for lines in line_blocks(plain_chunks(file, located.name, _JSON_CHUNK)):
                    block = read_lines(lines, decoder(types, lines.text))
                    try:
                        prepared = block.prepare(types, spool.known, _place(located), zone)
                    except SourceError as error:
                        where = f"{located.name}: lines {lines.first} and following"
                        raise SourceError(f"{where}: {error}") from None
                    spool.keep(prepared)
                    count += len(block)
                    if most is not None and count >= most:
                        return spool.rows()
        return spool.rows()
    except BaseException:
        spool.close()
        raise


def _place(located: LocatedFile) -> Place:
    return lambda line, _: f"{located.name}:{line}"


def _check_same(first: CsvText, text: CsvText) -> None:
    if missing := [name for name in first.header if name not in text.header]:
        raise SourceError(f"{text.name} has no {_columns(missing)}, which {first.name} has: fix the files")
    if more := [name for name in text.header if name not in first.header]:
        raise SourceError(f"{text.name} has the {_columns(more)}, which {first.name} has not: fix the files")


def _columns(names: Sequence[str]) -> str:
    listed = ", ".join(f"'{shown(name)}'" for name in names[:10]) + (", ..." if len(names) > 10 else "")
    return f"column{'s' * (len(names) > 1)} {listed}"
