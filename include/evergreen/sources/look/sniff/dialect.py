"""The whole dialect of a CSV, and the types of its columns, told from the beginning of its bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from evergreen.rows.texts import are_codes
from evergreen.shown import shown
from evergreen.sources.look.sniff.encoding import Encoding, sniff_encoding
from evergreen.sources.look.sniff.header import Header, sniff_header
from evergreen.sources.look.sniff.layout import Layout, sniff_layout
from evergreen.sources.look.sniff.nulls import null_words, sniff_nulls, without
from evergreen.sources.look.sniff.numbers import Numbers, sniff_numbers
from evergreen.sources.look.sniff.pieces import whole
from evergreen.sources.look.sniff.times import Times, are_compact_days, forms_of, sniff_times, undecided
from evergreen.sources.text.csv_records import records
from evergreen.sources.text.csv_text import CsvBlock, CsvText
from evergreen.sources.text.dialect import CsvDialect
from evergreen.sources.text.encoding import as_utf8
from evergreen.sources.text.lines import BOM
from evergreen.sources.text.number_form import NumberForm
from evergreen.sources.text.types import in_csv, read

_LAID_OUT = 2**20
_JUDGED = 1_000
_CHUNK = 2**22


@dataclass(frozen=True)
class Sniffed:
    """How a CSV is written.

    `types` are those to be declared, `told` says in words what told the dialect, and `doubts` what could not
    be told for sure. `texts` are the columns of the `blocks` that it was told from, null words as nulls.
    """

    encoding: str
    dialect: CsvDialect
    types: Mapping[str, str]
    told: Mapping[str, str]
    doubts: tuple[str, ...]
    texts: Mapping[str, pa.Array]
    blocks: Sequence[CsvBlock]

    @property
    def records(self) -> int:
        """How many records it was told from, those that cannot be read among them."""
        return sum(len(block) for block in self.blocks)

    def line(self, row: int) -> int:
        """The line of a row of `texts` (from 0)."""
        for block in self.blocks:
            if row >= block.columns.num_rows:
                row -= block.columns.num_rows
                continue
            for record in records(block.text, block.dialect, block.line):
                if not record.reason and len(record.fields) == block.columns.num_columns:
                    if not row:
                        return record.line
                    row -= 1
        raise IndexError("no such row")


class _CutError(Exception):
    """The text goes on, and is not looked at any further."""


def sniff_csv(name: str, raw: bytes, *, is_cut: bool) -> Sniffed:
    """The dialect of the CSV `name` that begins with these bytes, and is these bytes unless `is_cut`.

    Raises `SourceError` for one without a line.
    """
    encoding = sniff_encoding(raw)
    _, utf8 = as_utf8([raw], encoding.name if encoding.is_said else None)
    text = b"".join(utf8).removeprefix(BOM)
    layout = sniff_layout(text[:_LAID_OUT], is_cut=is_cut or len(text) > _LAID_OUT)
    header = _header(layout)
    said = encoding.name if encoding.is_said else None
    laid_out = layout.dialect.model_copy(update={"encoding": said, **_named(layout, header)})
    names, blocks = _blocks(name, _chunks(raw, is_cut=is_cut), laid_out)
    columns = _columns(names, blocks)
    words = {word for texts in columns.values() for word in null_words(texts)}
    numbers = sniff_numbers({name: _telling(without(texts, list(words))) for name, texts in columns.items()})
    nulls = sniff_nulls(columns, partial(_is_typed, numbers=numbers.form))
    texts = {name: without(column, list(nulls)) for name, column in columns.items()}
    times = sniff_times(
        {name: column for name, column in texts.items() if not _is_read(column, numbers.form)}
    )
    dialect = laid_out.model_copy(
        update={
            "nulls": tuple(sorted(nulls)),
            "decimal": numbers.form.decimal,
            "thousands": numbers.form.thousands or None,
        }
    )
    return Sniffed(
        encoding.name,
        CsvDialect.model_validate(dialect.model_dump(exclude_defaults=True)),
        _types(texts, times),
        _told(encoding, header, numbers, nulls),
        (
            *filter(None, [encoding.doubt, *layout.doubts, header.doubt, numbers.doubt]),
            *undecided(times, texts),
            *_compact(texts, numbers.form),
            *_of_nulls(columns, nulls, times, numbers.form),
        ),
        texts,
        blocks,
    )


def _header(layout: Layout) -> Header:
    good = [one.fields for one in layout.records if not one.reason and len(one.fields) == layout.width]
    if not good:
        return Header(False, (), doubt="header: the file has no line that can be read")
    return sniff_header(good[0], good[1 : _JUDGED + 1])


def _named(layout: Layout, header: Header) -> dict[str, object]:
    """What the dialect says of the names of columns."""
    if header.is_there and not header.mended:
        return {}
    if not header.is_there:
        return {"columns": header.names or None}
    below = layout.records[1:2]
    first = layout.records[0]
    # The line behind the header: it may be one of several lines.
    height = "".join(first.fields).count("\n") + 1
    return {"columns": header.names, "skip": below[0].line - 1 if below else first.line + height - 1}


def _blocks(name: str, chunks: Iterable[bytes], dialect: CsvDialect) -> tuple[list[str], list[CsvBlock]]:
    """The names of the columns, and the text in blocks of whole records."""
    text = CsvText(name, chunks, dialect)
    blocks: list[CsvBlock] = []
    with suppress(_CutError):
        blocks.extend(text.blocks())
    return text.header, blocks


def _columns(names: Sequence[str], blocks: Sequence[CsvBlock]) -> dict[str, pa.Array]:
    """The texts of each column, as they stand in the file; of the records that can be read."""
    batches = [block.columns for block in blocks if block.columns.num_rows]
    table = pa.Table.from_batches(batches, pa.schema([(name, pa.string()) for name in names]))
    return {name: whole(table.column(name)) for name in names}


def _chunks(raw: bytes, *, is_cut: bool) -> Iterator[bytes]:
    """The text in pieces; if it is cut it ends in an error, so that no record is read that is not whole."""
    yield from (raw[at : at + _CHUNK] for at in range(0, len(raw), _CHUNK))
    if is_cut:
        raise _CutError


def _telling(texts: pa.Array) -> list[str]:
    """Some different texts of a column: the first, and the longest, which have the most signs."""
    there = texts.drop_null().unique()
    by_length = pc.sort_indices(pc.utf8_length(there), sort_keys=[("", "descending")])
    longest = there.take(by_length.slice(0, _JUDGED))
    return list(dict.fromkeys([*there.slice(0, _JUDGED).to_pylist(), *longest.to_pylist()]))


def _is_read(texts: pa.Array, numbers: NumberForm) -> bool:
    """Whether all texts are of a type without one being declared."""
    return any(read(texts, one) is not None for one in in_csv(numbers))


def _is_typed(texts: pa.Array, numbers: NumberForm) -> bool:
    return _is_read(texts, numbers) or are_codes(texts) or next(forms_of(texts), None) is not None


def _types(texts: Mapping[str, pa.Array], times: Mapping[str, Times]) -> dict[str, str]:
    """The types to be declared.

    Those of codes too: in a partition that has none with a zero at its beginning they look like numbers.
    """
    found = {name: "text" for name, column in texts.items() if name not in times and are_codes(column)}
    return found | {name: one.form for name, one in times.items() if one.form}


def _told(encoding: Encoding, header: Header, numbers: Numbers, nulls: Mapping[str, str]) -> dict[str, str]:
    told = {"encoding": encoding.told_by, "columns": "" if header.is_there else "there is no header"}
    if header.mended:
        told["columns"] = header.mended
    if numbers.told_by:
        name, text = numbers.told_by
        signs = ("decimal", "thousands") if numbers.form.thousands else ("decimal",)
        told |= dict.fromkeys(signs, f"'{shown(text)}' of column '{shown(name)}'")
    told["nulls"] = ", ".join(f"'{word}' of column '{name}'" for word, name in sorted(nulls.items()))
    return {key: words for key, words in told.items() if words}


def _compact(texts: Mapping[str, pa.Array], numbers: NumberForm) -> Sequence[str]:
    """What is to be said of columns of numbers that may be days."""
    return [
        f"types: column '{name}' is of numbers, it may be date %Y%m%d"
        for name, column in texts.items()
        if _is_read(column, numbers) and are_compact_days(column)
    ]


def _of_nulls(
    columns: Mapping[str, pa.Array], nulls: Mapping[str, str], times: Mapping[str, Times], numbers: NumberForm
) -> Sequence[str]:
    """What is to be said of columns of text with words that may stand for no value."""
    found = []
    for name, texts in columns.items():
        words = null_words(texts)
        rest = without(texts, words)
        if not words or name in times or are_codes(rest):
            continue
        if rest.null_count < len(rest) and _is_read(rest, numbers):
            continue
        for word in words:
            count = pc.sum(pc.equal(texts, word)).as_py()
            what = "is null, as elsewhere" if word in nulls else "is text unless 'nulls' names it"
            found.append(f"nulls: '{word}' in the column of text '{name}' ({count:,} times) {what}")
    return found
