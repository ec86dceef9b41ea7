"""Reads CSV text to columns: valid blocks with Arrow, all others record by record."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import pyarrow as pa
from pyarrow import csv

from evergreen.calendar import UTC_ZONE, Zone
from evergreen.errors import SourceError
from evergreen.rows.names import check_declared, check_names
from evergreen.shown import shown
from evergreen.sources.text.column_types import declared_of
from evergreen.sources.text.csv_records import UNCLOSED, Record, records
from evergreen.sources.text.dialect import CsvDialect
from evergreen.sources.text.encoding import as_utf8, is_text
from evergreen.sources.text.lines import (
    BOM,
    LONGEST,
    TOO_LONG,
    LineBlock,
    Place,
    Unreadable,
    line_blocks,
    rejected,
)
from evergreen.sources.text.null_words import with_remedy
from evergreen.sources.text.number_form import NumberForm
from evergreen.sources.text.spool import MOST_COLUMNS, Known, Prepared
from evergreen.sources.text.texts import NullWordError, prepare_texts

_NEWLINE, _RETURN = b"\n\r"
# A null word is null in quotes or not.
_NULLS = {"strings_can_be_null": True, "quoted_strings_can_be_null": True}
SEP = re.compile(rb'"?sep=([^"\r\n\0\x80-\xff])"?\r?(?:\n|$)', re.IGNORECASE)


@dataclass(frozen=True)
class CsvBlock:
    """Records that could be read: a column of text for each name in the header, null words as nulls.

    `text` is what they were read from, in UTF-8, beginning with the line `line` and the record `number`
    (from 1). `unreadable` are those of its records that could not be read.
    """

    columns: pa.RecordBatch
    text: bytes
    line: int
    number: int
    dialect: CsvDialect
    unreadable: Sequence[Unreadable] = ()

    def __len__(self) -> int:
        return int(self.columns.num_rows) + len(self.unreadable)

    def prepare(
        self, types: Mapping[str, str], known: Mapping[str, Known], place: Place, zone: Zone = UTC_ZONE
    ) -> Prepared:
        """The block for a spool; raises as `prepare_texts` does."""
        if not self.columns.num_columns:
            return Prepared(rejected=rejected(self.unreadable, place))
        check_declared(declared_of(types), self.columns.schema.names)
        try:
            prepared, found = prepare_texts(types, known, self.columns, zone, _numbers(self.dialect))
        except NullWordError as error:
            record = next(self._unfit({error.row: ""}))
            raise SourceError(
                f"{place(record.line, record.number)}: column '{shown(error.column)}' has numbers or times, "
                f"but here '{shown(error.word)}': if that stands for no value, write under the source: csv: "
                f"{{nulls: ['{shown(error.word)}']}}; if it is one, declare the column text under its 'types'"
            ) from None
        misfits = {row: with_remedy(why) for row, why in found.items()}
        bad = [*self.unreadable, *self._unfit(misfits)]
        return replace(prepared, rejected=rejected(bad, place))

    def _unfit(self, reasons: Mapping[int, str]) -> Iterator[Unreadable]:
        """The records of the rows that do not fit; slow, because it reads all of them again."""
        if not reasons:
            return
        width, row = self.columns.num_columns, 0
        for number, record in enumerate(records(self.text, self.dialect, self.line), self.number):
            if record.reason or len(record.fields) != width:
                continue
            if row in reasons:
                text = self.text[record.begin : record.end]
                yield Unreadable(record.line, number, text, reasons[row])
            row += 1


class CsvText:
    """CSV text in the course of being read; `header` has the names of its columns.

    `name` says in errors what it is. Raises `SourceError`, here, for text without a header and for a header
    that names a column twice or not at all, or one that the lake cannot keep.
    """

    def __init__(self, name: str, chunks: Iterable[bytes], dialect: CsvDialect) -> None:
        self.name = name
        encoding, utf8 = as_utf8(chunks, dialect.encoding)
        self._dialect, self._lines = _below_preamble(
            line_blocks(utf8), dialect.model_copy(update={"encoding": encoding})
        )
        self._pending: LineBlock | None = None
        self._number = 1
        self.header = list(dialect.columns) if dialect.columns else self._read_header()
        try:
            check_names(self.header)
        except SourceError as error:
            raise SourceError(f"{self.name}: {error}") from None

    def blocks(self) -> Iterator[CsvBlock]:
        """The records below the header, a few megabytes at a time."""
        waiting, self._pending = self._pending, None
        for lines in self._lines:
            if lines.is_cut:
                yield from self._rest(waiting)
                waiting = None
                yield self._cut(lines)
                continue
            joined = LineBlock(waiting.first, waiting.text + lines.text) if waiting else lines
            block = self._block(joined, is_last=False)
            yield block
            waiting = _after(joined, len(block.text))
        yield from self._rest(waiting)

    def _rest(self, waiting: LineBlock | None) -> Iterator[CsvBlock]:
        while waiting:
            block = self._block(waiting, is_last=True)
            yield block
            waiting = _after(waiting, len(block.text)) if block.text else None

    def _cut(self, lines: LineBlock) -> CsvBlock:
        unreadable = [Unreadable(lines.first, self._number, lines.text, TOO_LONG)]
        return self._numbered(
            CsvBlock(self._batch([]), b"", lines.first, self._number, self._dialect, unreadable)
        )

    def _read_header(self) -> list[str]:
        waiting: LineBlock | None = None
        for lines in self._lines:
            if lines.is_cut:
                raise self._no_header(f"line {lines.first} is {TOO_LONG.partition(':')[0]}")
            joined = LineBlock(waiting.first, waiting.text + lines.text) if waiting else lines
            if record := next(records(joined.text, self._dialect, joined.first, is_last=False), None):
                return self._names(record, joined)
            waiting = joined
        last = waiting and next(records(waiting.text, self._dialect, waiting.first), None)
        if not (last and waiting):
            raise self._no_header("it is empty")
        return self._names(last, waiting)

    def _names(self, record: Record, lines: LineBlock) -> list[str]:
        if record.reason:
            raise self._no_header(f"line {record.line} {record.reason}")
        names = record.fields
        if len(names) > MOST_COLUMNS:
            raise self._no_header(f"line {record.line} names more than {MOST_COLUMNS:,} columns")
        self._pending = _after(lines, record.end)
        return names

    def _no_header(self, problem: str) -> SourceError:
        return SourceError(f"{self.name} is not a CSV file with a header: {problem}: fix the file")

    def _block(self, lines: LineBlock, is_last: bool) -> CsvBlock:
        text = lines.text[: _in_order(lines.text, self._dialect, is_last)]
        columns = _parsed(text, self.header, self._dialect) if text else None
        if columns is None:
            return self._one_by_one(lines, is_last)
        return self._numbered(CsvBlock(columns, text, lines.first, self._number, self._dialect))

    def _one_by_one(self, lines: LineBlock, is_last: bool) -> CsvBlock:
        good: list[list[str]] = []
        unreadable: list[Unreadable] = []
        used, width = 0, len(self.header)
        found = records(lines.text, self._dialect, lines.first, is_last)
        for number, record in enumerate(found, self._number):
            used = record.end
            count = len(record.fields)
            if not record.reason and count == width:
                good.append(record.fields)
                continue
            reason = record.reason or f"has {count} field{'s' * (count != 1)} instead of {width}"
            text = lines.text[record.begin : record.end]
            is_open = reason == UNCLOSED or not text.endswith((b"\n", b"\r"))
            unreadable.append(Unreadable(record.line, number, text, reason, is_open))
        block = CsvBlock(
            self._batch(good), lines.text[:used], lines.first, self._number, self._dialect, unreadable
        )
        return self._numbered(block)

    def _batch(self, rows: Sequence[Sequence[str]]) -> pa.RecordBatch:
        columns = zip(*rows, strict=True) if rows else ((),) * len(self.header)
        nulls = {"", *self._dialect.nulls}
        arrays = [
            pa.array([None if text in nulls else text for text in column], pa.string()) for column in columns
        ]
        return pa.RecordBatch.from_arrays(arrays, self.header)

    def _numbered(self, block: CsvBlock) -> CsvBlock:
        self._number += len(block)
        return block


def _numbers(dialect: CsvDialect) -> NumberForm:
    return NumberForm(dialect.decimal, dialect.thousands or "")


def _after(lines: LineBlock, used: int) -> LineBlock | None:
    """The lines behind the first `used` bytes."""
    if used == len(lines.text):
        return None
    return LineBlock(lines.first + lines.text.count(b"\n", 0, used), lines.text[used:])


def _below_preamble(
    blocks: Iterator[LineBlock], dialect: CsvDialect
) -> tuple[CsvDialect, Iterator[LineBlock]]:
    """The lines below those to be skipped, and the dialect with the delimiter that a line `sep=;` says."""
    skip, first = dialect.skip, next(blocks, None)
    if first is None:
        return dialect, blocks
    if not first.is_cut and (found := SEP.match(first.text)):
        dialect = dialect.model_copy(update={"delimiter": found[1].decode()})
        skip = max(skip, 1)
    return dialect, _without_lines(chain([first], blocks), skip)


def _without_lines(blocks: Iterator[LineBlock], skip: int) -> Iterator[LineBlock]:
    for block in blocks:
        if block.is_cut and skip:
            skip -= 1
            continue
        at, number = 0, block.first
        while skip and at < len(block.text):
            at = block.text.find(b"\n", at) + 1 or len(block.text)
            skip, number = skip - 1, number + 1
        if at < len(block.text):
            yield LineBlock(number, block.text[at:], block.is_cut) if at else block


def _in_order(text: bytes, dialect: CsvDialect, is_last: bool) -> int:
    """How many bytes at the text's beginning are whole records that Arrow reads just as `records` does.

    0 if there is anything in the text on which they might differ.
    """
    if b"\0" in text or text.startswith(BOM):
        return 0
    if b"\r" in text and text.count(b"\r") != text.count(b"\r\n"):
        return 0
    quote = (dialect.quote or "").encode()
    if not quote or quote not in text:
        return 0 if is_last and text.endswith(b"\r") else len(text)
    if _has_comment(text, dialect):
        return 0  # it may stand within a field, and hold a quote that is none
    letters = np.frombuffer(text, np.uint8)
    quotes = np.flatnonzero(letters == ord(quote))
    newlines = np.flatnonzero(letters == _NEWLINE)
    # Where all quotes are in order, a line's end behind an odd number of them is within a field.
    ends = newlines[np.searchsorted(quotes, newlines) % 2 == 0] + 1
    if is_last and len(quotes) % 2 == 0:
        ends = np.append(ends, len(text))
    if not len(ends) or np.diff(ends, prepend=0).max() > LONGEST:
        return 0
    quotes = quotes[quotes < ends[-1]]
    return int(ends[-1]) if _quotes_in_order(letters, quotes, dialect) else 0


def _has_comment(text: bytes, dialect: CsvDialect) -> bool:
    comment = (dialect.comment or "").encode()
    return bool(comment) and (text.startswith(comment) or b"\n" + comment in text)


def _quotes_in_order(letters: np.ndarray, quotes: np.ndarray, dialect: CsvDialect) -> bool:
    """Whether each odd quote opens a field and each even one closes it, or both are a doubled quote."""
    delimiter, quote = ord(dialect.delimiter), letters[quotes[:1]]
    around = np.concatenate(([_NEWLINE], letters, [_NEWLINE, _NEWLINE]))  # a letter is at its place + 1
    before, behind = around[quotes[0::2]], around[quotes[1::2] + 2]
    opens = (before == delimiter) | (before == _NEWLINE) | (before == quote)
    line_ends = (behind == _RETURN) & (around[quotes[1::2] + 3] == _NEWLINE)
    closes = (behind == delimiter) | (behind == _NEWLINE) | (behind == quote) | line_ends
    return bool(opens.all() and closes.all())


def _parsed(text: bytes, names: Sequence[str], dialect: CsvDialect) -> pa.RecordBatch | None:
    """The text's records as Arrow reads them; None if there is one that it does not read."""
    if _has_comment(text, dialect):
        text = re.sub(rb"(?m)^%s.*\n?" % re.escape((dialect.comment or "").encode()), b"", text)
    quote = dialect.quote or ""
    try:
        table = csv.read_csv(
            pa.BufferReader(text),
            read_options=csv.ReadOptions(column_names=names, block_size=len(text) + 1, use_threads=False),
            parse_options=csv.ParseOptions(
                delimiter=dialect.delimiter,
                quote_char=quote or False,
                newlines_in_values=bool(quote) and quote.encode() in text,
            ),
            convert_options=csv.ConvertOptions(
                check_utf8=not is_text(text, dialect.encoding),
                column_types=dict.fromkeys(names, pa.string()),
                null_values=["", *dialect.nulls],
                **_NULLS,
            ),
        )
    except pa.ArrowInvalid:
        return None
    batches = table.combine_chunks().to_batches()
    return batches[0] if len(batches) == 1 else None
