"""Columns of text, as CSV has them: which values fit, and what all of a column may be read as."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from evergreen.calendar import UTC_ZONE, Zone
from evergreen.errors import SourceError
from evergreen.rows.local import TIME
from evergreen.shown import shown
from evergreen.sources.text.column_types import is_declared
from evergreen.sources.text.null_words import NULL_WORDS
from evergreen.sources.text.number_form import PLAIN, NumberForm
from evergreen.sources.text.spool import Known, Prepared, check_width
from evergreen.sources.text.types import fit, fit_published, in_csv, read, skipped

_WORDS = pa.array(sorted(NULL_WORDS), pa.string())


def prepare_texts(
    types: Mapping[str, str],
    known: Mapping[str, Known],
    batch: pa.RecordBatch,
    zone: Zone = UTC_ZONE,
    numbers: NumberForm = PLAIN,
) -> tuple[Prepared, dict[int, str]]:
    """The rows of a batch of text columns that fit the `types`, for a spool that knows `known`.

    Also returns why the other rows do not fit, by their index. Another column is read as `text.types` says
    of CSV; a row with a local time that the clocks of the zone skip does not fit. Raises `SourceError`
    for too many columns, and `NullWordError`.
    """
    check_width(known, batch.schema.names)
    columns: dict[str, pa.Array] = {}
    misfits: dict[int, str] = {}
    for name, texts in zip(batch.schema.names, batch.columns, strict=True):
        columns[name], reasons = _fitted(types, name, texts, zone, numbers)
        _note(misfits, name, reasons)
    fitting = _without(pa.RecordBatch.from_pydict(columns), misfits)
    rows = [row for row in range(batch.num_rows) if row not in misfits] if misfits else range(batch.num_rows)
    try:
        prepared, none = _typed(types, known, fitting, zone, numbers)
    except NullWordError as error:
        raise _word_in(error.column, error.word, rows[error.row]) from None
    if none:
        misfits |= {rows[at]: reason for at, reason in none.items()}
    return prepared, misfits


def _fitted(
    types: Mapping[str, str], name: str, texts: pa.Array, zone: Zone, numbers: NumberForm
) -> tuple[pa.Array, dict[int, str]]:
    if name not in types:
        return texts, {}
    fitted = fit if is_declared(types, name) else fit_published
    return fitted(texts, types[name], zone, numbers)


def _typed(
    types: Mapping[str, str],
    known: Mapping[str, Known],
    batch: pa.RecordBatch,
    zone: Zone,
    numbers: NumberForm,
) -> tuple[Prepared, dict[int, str]]:
    """The batch with untyped columns in the types that they have so far, and which rows it leaves out."""
    after: dict[str, Known] = {}
    typed: dict[str, pa.Array] = {}
    none: dict[int, str] = {}
    texts = dict(zip(batch.schema.names, batch.columns, strict=True))
    for name, column in texts.items():
        if name in types:
            after[name] = Known("declared")
            continue
        after[name], found = _narrowed(name, known.get(name, Known()), column, zone, numbers)
        if found is not None:
            typed[name] = found
            if found.type == TIME:
                _note(none, name, skipped(column, found, zone))
    if len(none) == batch.num_rows:
        return Prepared((), after), none
    kept = pa.RecordBatch.from_pydict({**texts, **typed})
    aside = pa.RecordBatch.from_pydict({name: texts[name] for name in typed})
    return Prepared((_without(kept, none),), after, texts=(_without(aside, none),)), none


def _note(misfits: dict[int, str], name: str, reasons: Mapping[int, str]) -> None:
    for row, reason in reasons.items():
        misfits.setdefault(row, f"column '{shown(name)}': {reason}")


def _without(batch: pa.RecordBatch, rows: Mapping[int, str]) -> pa.RecordBatch:
    if not rows:
        return batch
    return batch.filter(pa.array([row not in rows for row in range(batch.num_rows)], pa.bool_()))


class NullWordError(SourceError):
    """A column that nobody declared has numbers or times, and a word that people write for no value.

    `row` is the word's index in its batch.
    """

    def __init__(self, message: str, word: str = "", row: int = 0, column: str = "") -> None:
        super().__init__(message)
        self.word, self.row, self.column = word, row, column


def _word_in(column: str, word: str, row: int) -> NullWordError:
    return NullWordError(
        f"column '{shown(column)}' has numbers or times, and '{shown(word)}': declare its type under the "
        "source's 'types', text if the word is a value",
        word,
        row,
        column,
    )


def _check_words(name: str, readings: tuple[str, ...], texts: pa.Array, zone: Zone) -> None:
    is_word = pc.is_in(texts, _WORDS)
    if not is_word.true_count:
        return
    rest = texts.filter(pc.invert(is_word))
    if rest.null_count < len(rest) and any(read(rest, one, zone) is not None for one in readings):
        row = pc.index(is_word, True).as_py()
        raise _word_in(name, texts[row].as_py(), row)


def _narrowed(
    name: str, known: Known, texts: pa.Array, zone: Zone, numbers: NumberForm
) -> tuple[Known, pa.Array | None]:
    """What is then known of a column, and the texts in the type that it has so far, if it is another."""
    if texts.null_count == len(texts):
        return known, None
    readings = known.readings if known.kind else in_csv(numbers)
    found = {one: values for one in readings if (values := read(texts, one, zone)) is not None}
    if readings and not found:
        _check_words(name, readings, texts, zone)
    return Known("text", tuple(found)), next(iter(found.values()), None)
