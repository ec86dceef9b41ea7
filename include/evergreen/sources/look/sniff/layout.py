"""How the lines of a CSV are divided into fields: delimiter, quote, comments, and lines above the table."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evergreen.shown import shown
from evergreen.sources.look.sniff.cells import kind_of
from evergreen.sources.text.csv_records import Record, records
from evergreen.sources.text.csv_text import SEP
from evergreen.sources.text.dialect import CsvDialect

_DELIMITERS = (",", ";", "\t", "|")
_COMMENT = "#"
_COMMENTS = (None, _COMMENT, "%")
_MOST_ABOVE = 50
_GOOD = 0.8
_NEARLY_ALL = 0.99
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


@dataclass(frozen=True)
class Layout:
    """The records of a text that has `width` columns, from its first line of the table on.

    `dialect` has the delimiter, quote, comment and skipped lines.
    """

    dialect: CsvDialect
    width: int
    records: Sequence[Record]
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Trial:
    """The text read in a dialect: its records from the table's first line on, and those that are no good."""

    dialect: CsvDialect
    width: int
    body: Sequence[Record]
    bad: Sequence[Record]
    above: Sequence[Record]

    @property
    def share(self) -> float:
        """The share of records of the table that have its number of fields."""
        return 1 - len(self.bad) / len(self.body) if self.body else 1.0

    @property
    def is_good(self) -> bool:
        """Whether few records do not fit; one may always be damaged."""
        good = len(self.body) - len(self.bad)
        return self.share >= _GOOD or (len(self.bad) == 1 and good > 1)

    @property
    def rank(self) -> tuple[bool, bool, float]:
        """How sure it is: all records fit, nothing is above the table, columns are typed."""
        return self.share == 1, not self.above, self.typed

    @property
    def typed(self) -> float:
        """The share of columns that are, below the first line, of one kind that is not text."""
        below = self.body[1:] or self.body
        good = [one.fields for one in below if not one.reason and len(one.fields) == self.width]
        kinds = ({kind_of(text) for text in column} - {"empty"} for column in zip(*good, strict=True))
        return sum(len(found) == 1 and "text" not in found for found in kinds) / self.width


def sniff_layout(text: bytes, *, is_cut: bool) -> Layout:
    """The layout of a text in UTF-8, the beginning of a longer one if `is_cut`.

    A delimiter is the one that divides all lines into the same number of fields. Lines above the first such
    line are no part of the table.
    """
    first = 1
    delimiters: Sequence[str] = _DELIMITERS
    said = SEP.match(text)
    if said:
        first, text, delimiters = 2, text[said.end() :], [said[1].decode()]
    trials = [best for one in delimiters if (best := _best(text, one, first, is_cut=is_cut))]
    wide = [trial for trial in trials if trial.width > 1 and trial.is_good]
    if not wide:
        return _one_column(trials, text)
    wide.sort(key=lambda one: (*one.rank, one.width), reverse=True)
    doubts = []
    if wide[1:] and wide[0].rank == wide[1].rank:
        other = wide[1]
        doubts.append(
            f"delimiter: {_named(wide[0])} gives {wide[0].width} columns and {_named(other)} {other.width}, "
            "and nothing tells which is right"
        )
    return _laid_out(wide[0], text, doubts)


def _best(text: bytes, delimiter: str, first: int, *, is_cut: bool) -> _Trial | None:
    """The simplest way in which the delimiter divides the text evenly, or else the one that does it best."""
    found = []
    for quote in _quotes(text, delimiter):
        for comment in _COMMENTS:
            if comment and not re.search(rb"(?m)^" + re.escape(comment.encode()), text):
                continue
            dialect = CsvDialect(delimiter=delimiter, quote=quote, comment=comment)
            found.append(_tried(text, dialect, first, is_cut=is_cut))
    return max(found, key=lambda one: (one.share, one.width > 1, -len(one.above)), default=None)


def _quotes(text: bytes, delimiter: str) -> Iterator[str | None]:
    """The quotes that the text may have, the likeliest first."""
    opened, closed, rest = _quoted(text, delimiter, b"'")
    if opened and opened == closed and not _quoted(rest, delimiter, b'"')[0]:
        yield "'"
    yield '"'
    opened, closed, _ = _quoted(text, delimiter, b'"')
    if opened > 2 * closed:
        yield None  # they are text


def _quoted(text: bytes, delimiter: str, quote: bytes) -> tuple[int, int, bytes]:
    """How many fields a quote opens, how many of them it closes, and the text without the latter."""
    opens = rb"(?m)(?:^|%s)%s" % (re.escape(delimiter.encode()), quote)
    whole = rb"%s(?:[^%s]|%s%s)*+%s(?=%s|\r?$)" % (opens, *[quote] * 4, re.escape(delimiter.encode()))
    rest, closed = re.subn(whole, b"", text)
    return closed + len(re.findall(opens, rest)), closed, rest


def _tried(text: bytes, dialect: CsvDialect, first: int, *, is_cut: bool) -> _Trial:
    found = list(records(text, dialect, first, is_last=not is_cut))
    if is_cut and found and not text.endswith(b"\n"):
        found.pop()
    counts = Counter(len(one.fields) for one in found if not one.reason)
    width = max(counts, key=lambda count: (counts[count], count), default=1)
    begin = next((at for at, one in enumerate(found) if _is_top(one, width)), 0)
    if begin > _MOST_ABOVE:
        begin = 0
    body = found[begin:]
    bad = [one for one in body if one.reason or len(one.fields) != width]
    skip = body[0].line - 1 if begin else 0
    return _Trial(dialect.model_copy(update={"skip": skip}), width, body, bad, found[:begin])


def _is_top(record: Record, width: int) -> bool:
    """Whether the table may begin here: all fields are there, and not just the first of many."""
    if record.reason or len(record.fields) != width:
        return False
    kinds = [kind_of(field) for field in record.fields]
    said = [kind for kind in kinds if kind != "empty"]
    return not (width > 2 and (not said or said == ["text"]))


def _one_column(trials: Sequence[_Trial], text: bytes) -> Layout:
    """No delimiter divides the lines: a table of one column, by a delimiter that is not in it."""
    whole = [trial for trial in trials if trial.width == 1 and not trial.bad]
    if whole:
        found = whole[0]
        free = [one for one in _DELIMITERS if one.encode() in text]
        doubts = (
            [f"delimiter: {', '.join(map(repr, free))} divides the lines unevenly: read as one column"]
            if free
            else []
        )
        return _laid_out(found, text, doubts)
    best = max(trials, key=lambda one: one.share)
    return _laid_out(best, text, ["delimiter: none divides the lines into the same number of fields"])


def _laid_out(trial: _Trial, text: bytes, doubts: Sequence[str]) -> Layout:
    said = [*doubts, *_of_bad(trial), *_of_comments(trial, text), *_of_quotes(trial, text), *_of_above(trial)]
    return Layout(trial.dialect, trial.width, trial.body, tuple(said))


def _of_bad(trial: _Trial) -> Iterator[str]:
    if trial.share < _NEARLY_ALL:
        one = trial.bad[0]
        count = len(one.fields)
        reason = one.reason or f"has {count} field{'s' * (count != 1)} instead of {trial.width}"
        of = f"{len(trial.bad):,} of the first {len(trial.body):,}"
        yield f"records: {of} cannot be read: line {one.line} {reason}"


def _of_comments(trial: _Trial, text: bytes) -> Iterator[str]:
    """A comment that may be a record, or a record that may be a comment."""
    sign = trial.dialect.comment
    if sign is None:
        marked = [one for one in trial.body[1:] if one.fields and one.fields[0].startswith(_COMMENT)]
        if marked:
            of = f"{len(marked):,} of the first {len(trial.body):,} records"
            yield f"comment: {of} begin with '{_COMMENT}' like line {marked[0].line}, and are read as values"
        return
    plain = trial.dialect.model_copy(update={"comment": None})
    for line in re.finditer(rb"(?m)^%s.*\n?" % re.escape(sign.encode()), text):
        record = next(records(line[0], plain), None)
        if trial.width > 1 and record and len(record.fields) == trial.width:
            yield f"comment: '{_shown(line[0])}' has all fields, and is left out as a comment"
            return


def _of_quotes(trial: _Trial, text: bytes) -> Iterator[str]:
    """Quotes that are read as text, and rare single ones that the fields can do without."""
    for quote in ("'", '"'):
        _, closed, _ = _quoted(text, trial.dialect.delimiter, quote.encode())
        fields = f"quote: {quote} stands around {closed:,} field{'s' * (closed != 1)}"
        if closed and quote != trial.dialect.quote:
            yield f"{fields}, and is read as text"
        elif quote == "'" and 0 < closed < len(trial.body) and not _needs_quotes(trial, text):
            yield f"{fields}, and is left out"


def _needs_quotes(trial: _Trial, text: bytes) -> bool:
    """Whether the text is divided in another way where single quotes are text."""
    plain = _tried(text, trial.dialect.model_copy(update={"quote": '"', "skip": 0}), 1, is_cut=False)
    return (plain.width, plain.share) != (trial.width, trial.share)


def _of_above(trial: _Trial) -> Iterator[str]:
    for above in trial.above:
        if sum(bool(field.strip()) for field in above.fields) > 1:
            text = trial.dialect.delimiter.join(above.fields)
            yield f"skip: line {above.line} ('{shown(text)}') is above the table, which may be wrong"
            return


def _shown(text: bytes) -> str:
    return shown(text.decode("utf-8", "replace").strip())


def _named(trial: _Trial) -> str:
    delimiter = trial.dialect.delimiter
    return f"a {_NAMES.get(delimiter, repr(delimiter))}"
