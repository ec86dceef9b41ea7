"""CSV files to rows: blocks that are in order at the speed of Arrow, all others record by record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np
import pyarrow as pa
from pyarrow import csv

from evergreen.errors import SourceError
from evergreen.rows.batches import Rows
from evergreen.shown import shown
from evergreen.sources.files.decompress import plain_chunks
from evergreen.sources.files.locate import LocatedFile
from evergreen.sources.text.csv_records import Record, records
from evergreen.sources.text.lines import BOM, LONGEST, TOO_LONG, LineBlock, Rejections, line_blocks
from evergreen.sources.text.spool import TextSpool

MOST_COLUMNS = 2_000
_NEWLINE, _RETURN, _QUOTE = b'\n\r"'
# An empty field is null, in quotes or not; nothing else is.
_EMPTY_IS_NULL = {"null_values": [""], "strings_can_be_null": True, "quoted_strings_can_be_null": True}


def read_csv_files(files: Sequence[LocatedFile], delimiter: str, types: Mapping[str, str]) -> Rows:
    """The rows of CSV files with one header; columns in the order of the first file.

    A column's type is the declared one, else it is found in all its values: see `text_types.read`. A record
    that cannot be read, or holds a value that does not fit a declared type, is rejected. Raises `SourceError`
    for a file without a header, a header that names a column twice or not at all, and headers that differ.
    """
    rejections = Rejections()
    spool: TextSpool | None = None
    try:
        for located in files:
            with located.open() as file:
                lines = CsvFile(located.name, file, delimiter, rejections)
                if spool is None:
                    spool = TextSpool(lines.header, types)
                _check_same(spool.names, lines, files[0].name)
                _read_into(spool, lines, rejections)
    except BaseException:
        if spool is not None:
            spool.close()
        raise
    assert spool is not None
    return spool.rows(rejections.found)


def _read_into(spool: TextSpool, lines: CsvFile, rejections: Rejections) -> None:
    begin = len(rejections.found)
    for block in lines.blocks():
        misfits = spool.add(block.columns.select(spool.names))
        if misfits:
            origins = block.origins()
            for row, reason in sorted(misfits.items()):
                lines.reject(block.text, origins[row], reason)
    rejections.sort(begin)


def _check_same(names: Sequence[str], lines: CsvFile, first: str) -> None:
    if missing := [name for name in names if name not in lines.header]:
        raise SourceError(f"{lines.name} has no {_columns(missing)}, which {first} has: mend the files")
    if more := [name for name in lines.header if name not in names]:
        raise SourceError(f"{lines.name} has the {_columns(more)}, which {first} has not: mend the files")


def _columns(names: Sequence[str]) -> str:
    listed = ", ".join(f"'{shown(name)}'" for name in names[:10]) + (", ..." if len(names) > 10 else "")
    return f"column{'s' * (len(names) > 1)} {listed}"


@dataclass(frozen=True)
class CsvBlock:
    """Records that could be read: a column of text for each name in the header, empty fields null.

    `text` is what they were read from; some of its records may have been rejected.
    """

    columns: pa.RecordBatch
    text: bytes
    first_line: int
    delimiter: str

    def origins(self) -> list[Record]:
        """The record that each row was read from; slow, for rows that turn out not to fit."""
        width = self.columns.num_columns
        return [found for found in self._records() if not found.reason and len(found.fields) == width]

    def _records(self) -> Iterator[Record]:
        return records(self.text, self.delimiter, self.first_line)


class CsvFile:
    """One CSV file, in the course of being read; `header` has the names of its columns."""

    def __init__(self, name: str, file: IO[bytes], delimiter: str, rejections: Rejections) -> None:
        self.name = name
        self._delimiter = delimiter
        self._rejections = rejections
        self._lines = line_blocks(plain_chunks(file, name))
        self._pending: LineBlock | None = None
        self.header = self._read_header()

    def blocks(self) -> Iterator[CsvBlock]:
        """The records below the header, a few megabytes at a time; those that cannot be read are rejected."""
        waiting, self._pending = self._pending, None
        for lines in self._lines:
            if lines.is_cut:
                yield from self._rest(waiting)
                waiting = None
                self._rejections.add(lines.text, f"{self.name}:{lines.first}", TOO_LONG)
                continue
            joined = LineBlock(waiting.first, waiting.text + lines.text) if waiting else lines
            block, used = self._block(joined, is_last=False)
            yield block
            waiting = _after(joined, used)
        yield from self._rest(waiting)

    def reject(self, text: bytes, record: Record, reason: str) -> None:
        """Note that a record cannot be kept."""
        self._rejections.add(text[record.begin : record.end], f"{self.name}:{record.line}", reason)

    def _rest(self, waiting: LineBlock | None) -> Iterator[CsvBlock]:
        while waiting:
            block, used = self._block(waiting, is_last=True)
            yield block
            waiting = _after(waiting, used) if used else None

    def _read_header(self) -> list[str]:
        waiting: LineBlock | None = None
        for lines in self._lines:
            if lines.is_cut:
                raise self._no_header(f"line {lines.first} is {TOO_LONG.partition(':')[0]}")
            joined = LineBlock(waiting.first, waiting.text + lines.text) if waiting else lines
            if record := next(records(joined.text, self._delimiter, joined.first, is_last=False), None):
                return self._names(record, joined)
            waiting = joined
        last = waiting and next(records(waiting.text, self._delimiter, waiting.first), None)
        if not (last and waiting):
            raise self._no_header("it is empty")
        return self._names(last, waiting)

    def _names(self, record: Record, lines: LineBlock) -> list[str]:
        if record.reason:
            raise self._no_header(f"line {record.line} {record.reason}")
        names = record.fields
        if len(names) > MOST_COLUMNS:
            raise self._no_header(f"line {record.line} names more than {MOST_COLUMNS:,} columns")
        if empty := [number for number, name in enumerate(names, 1) if not name.strip()]:
            raise SourceError(f"{self.name}: column {empty[0]} of {len(names)} has no name: mend the header")
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            raise SourceError(f"{self.name}: column '{shown(twice[0])}' comes more than once: rename one")
        self._pending = _after(lines, record.end)
        return names

    def _no_header(self, problem: str) -> SourceError:
        return SourceError(f"{self.name} is not a CSV file with a header: {problem}: mend the file")

    def _block(self, lines: LineBlock, is_last: bool) -> tuple[CsvBlock, int]:
        used = _in_order(lines.text, self._delimiter, is_last)
        columns = used and _parsed(lines.text[:used], self.header, self._delimiter)
        if columns:
            return CsvBlock(columns, lines.text[:used], lines.first, self._delimiter), used
        return self._one_by_one(lines, is_last)

    def _one_by_one(self, lines: LineBlock, is_last: bool) -> tuple[CsvBlock, int]:
        good: list[list[str]] = []
        used, width = 0, len(self.header)
        for record in records(lines.text, self._delimiter, lines.first, is_last):
            used = record.end
            count = len(record.fields)
            if not record.reason and count == width:
                good.append(record.fields)
                continue
            reason = record.reason or f"has {count} field{'s' * (count != 1)} instead of {width}"
            self.reject(lines.text, record, reason)
        columns = zip(*good, strict=True) if good else ((),) * width
        arrays = [pa.array([text or None for text in column], pa.string()) for column in columns]
        batch = pa.RecordBatch.from_arrays(arrays, self.header)
        return CsvBlock(batch, lines.text[:used], lines.first, self._delimiter), used


def _after(lines: LineBlock, used: int) -> LineBlock | None:
    """The lines behind the first `used` bytes."""
    if used == len(lines.text):
        return None
    return LineBlock(lines.first + lines.text.count(b"\n", 0, used), lines.text[used:])


def _in_order(text: bytes, delimiter: str, is_last: bool) -> int:
    """How many bytes at the text's beginning are whole records that Arrow reads just as `records` does.

    0 if there is anything in the text on which they might differ.
    """
    if b"\0" in text or text.startswith(BOM) or text.count(b"\r") != text.count(b"\r\n"):
        return 0
    if b'"' not in text:
        return 0 if is_last and text.endswith(b"\r") else len(text)
    letters = np.frombuffer(text, np.uint8)
    quotes = np.flatnonzero(letters == _QUOTE)
    newlines = np.flatnonzero(letters == _NEWLINE)
    # Where all quotes are in order, a line's end behind an odd number of them is within a field.
    ends = newlines[np.searchsorted(quotes, newlines) % 2 == 0] + 1
    if is_last and len(quotes) % 2 == 0:
        ends = np.append(ends, len(text))
    if not len(ends) or np.diff(ends, prepend=0).max() > LONGEST:
        return 0
    quotes = quotes[quotes < ends[-1]]
    return int(ends[-1]) if _quotes_in_order(letters, quotes, ord(delimiter)) else 0


def _quotes_in_order(letters: np.ndarray, quotes: np.ndarray, delimiter: int) -> bool:
    """Whether each odd quote opens a field and each even one closes it, or both are a doubled quote."""
    around = np.concatenate(([_NEWLINE], letters, [_NEWLINE, _NEWLINE]))  # a letter is at its place + 1
    before, behind = around[quotes[0::2]], around[quotes[1::2] + 2]
    opens = (before == delimiter) | (before == _NEWLINE) | (before == _QUOTE)
    line_ends = (behind == _RETURN) & (around[quotes[1::2] + 3] == _NEWLINE)
    closes = (behind == delimiter) | (behind == _NEWLINE) | (behind == _QUOTE) | line_ends
    return bool(opens.all() and closes.all())


def _parsed(text: bytes, names: Sequence[str], delimiter: str) -> pa.RecordBatch | None:
    """The text's records as Arrow reads them; None if there is one that it does not read."""
    try:
        table = csv.read_csv(
            pa.BufferReader(text),
            read_options=csv.ReadOptions(column_names=names, block_size=len(text) + 1, use_threads=False),
            parse_options=csv.ParseOptions(delimiter=delimiter, newlines_in_values=b'"' in text),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), **_EMPTY_IS_NULL
            ),
        )
    except pa.ArrowInvalid:
        return None
    batches = table.combine_chunks().to_batches()
    return batches[0] if len(batches) == 1 else None
