"""From rows to a look: types, candidates, and a description that was read by before it is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import yaml
from pydantic import ValidationError

from evergreen.description import explain
from evergreen.errors import SourceError, one_line
from evergreen.rows.batches import Rejected, Rows
from evergreen.rows.texts import are_codes, is_text
from evergreen.sources import Source
from evergreen.sources.look.description import source_yaml
from evergreen.sources.look.forced import forcing
from evergreen.sources.look.found import Column, Forced, Look
from evergreen.sources.look.profile import keys, profile, targets, time_parts, times
from evergreen.sources.look.sample import Taken, take
from evergreen.sources.look.sniff.dialect import Sniffed
from evergreen.sources.look.sniff.pieces import whole
from evergreen.sources.look.sniff.times import sniff_times, undecided
from evergreen.sources.text import types as text_types
from evergreen.sources.text.number_form import PLAIN, NumberForm

_LONGEST = 400

Forcing = Callable[[str, pa.Array], Forced | None]


def _by_row(_: str, texts: pa.Array) -> Forced | None:
    return forcing(texts, PLAIN, lambda row: f"row {row + 1}", has_types=True)


@dataclass(frozen=True)
class Material:
    """What is known of a source before its rows are read: `config` is its description so far.

    `read` gives the rows for the parsed description, `most` is how many of them are looked at. `types` are
    the types to be declared; None where the rows are to tell them. `has_types` says whether the source tells
    a column's type itself, whatever its values. `forcing` says by which value a column is text.
    """

    source: str
    name: str
    kind: str
    config: Mapping[str, Any]
    read: Callable[[Source], Rows]
    most: int
    types: Mapping[str, str] | None = None
    has_types: bool = True
    encoding: str | None = None
    told: Mapping[str, str] = field(default_factory=dict)
    unsure: Sequence[str] = ()
    forcing: Forcing = _by_row
    is_whole: bool = True

    def written(self, sniffed: Sniffed) -> Material:
        """The material of a CSV that is written so."""
        dialect = sniffed.dialect
        numbers = NumberForm(dialect.decimal, dialect.thousands or "")
        return replace(
            self,
            config={**self.config, "csv": dialect.model_dump(mode="json", exclude_defaults=True)},
            types=sniffed.types,
            encoding=sniffed.encoding,
            told=sniffed.told,
            unsure=sniffed.doubts,
            forcing=lambda name, _: forcing(
                sniffed.texts[name], numbers, lambda row: f"line {sniffed.line(row)}"
            ),
        )


def composed(material: Material) -> Look:
    """The look at a source. Raises `SourceError` and `UnavailableError` as its reader does."""
    types, unsure, last = material.types, list(material.unsure), None
    if types is None:
        last = _read(material, material.config, last)
        types, doubts = _types(last.taken.rows, material.has_types)
        unsure += doubts
    config = dict(material.config)
    if types:
        config["types"] = {**config.get("types", {}), **types}
    last = _read(material, config, last)
    rows = last.taken.rows
    columns = [_explained(one, rows, types, material.forcing) for one in profile(rows)]
    found = times(columns)
    if len(found) == 1:
        config.setdefault("time_column", found[0])
    elif found and "time_column" not in config:
        unsure.append(f"time_column: {' or '.join(found)}")
    elif parts := time_parts(columns):
        config.setdefault("time_column", {"from": parts})
    last = _read(material, config, last)
    return _look(material, last, columns, found, [_line(doubt) for doubt in unsure])


@dataclass(frozen=True)
class _Read:
    """The rows by a description, whose YAML is `text`."""

    text: str
    config: Mapping[str, Any]
    taken: Taken
    rejected: Sequence[Rejected]


def _read(material: Material, config: Mapping[str, Any], last: _Read | None) -> _Read:
    """The rows by a description; those of the last read if it had the same one."""
    text = source_yaml(material.name, material.kind, config)
    if last is not None and last.text == text:
        return last
    try:
        source = Source.model_validate(yaml.safe_load(text)["sources"][material.name])
    except ValidationError as error:
        raise SourceError(f"{material.source} cannot be described: {explain(Source, error)}") from None
    rows = material.read(source)
    return _Read(text, config, take(rows, material.most), rows.rejected)


def _look(
    material: Material, last: _Read, columns: Sequence[Column], found: Sequence[str], unsure: Sequence[str]
) -> Look:
    rows = last.taken.rows
    _check(material.source, last)
    return Look(
        source=material.source,
        kind=material.kind,
        rows=rows.num_rows,
        is_whole=last.taken.is_whole and material.is_whole,
        columns=columns,
        keys=keys(rows, columns),
        times=found,
        targets=targets(rows, columns),
        yaml="".join(f"# unsure: {line}\n" for line in unsure) + last.text,
        name=material.name,
        config=last.config,
        sample=rows,
        encoding=material.encoding,
        dialect=material.config.get("csv", {}),
        told=material.told,
        unsure=tuple(unsure),
        rejected=len(last.rejected),
        first_rejected=f"{last.rejected[0].place}: {last.rejected[0].reason}" if last.rejected else None,
    )


def _line(doubt: str) -> str:
    """The doubt as a comment in YAML: on one line, and printable whatever the file holds."""
    return "".join(letter if letter.isprintable() else " " for letter in one_line(doubt, _LONGEST))


def _check(source: str, last: _Read) -> None:
    """Raise `SourceError` where most of the records cannot be read."""
    bad, good = len(last.rejected), last.taken.seen
    if bad > good:
        first = last.rejected[0]
        raise SourceError(
            f"{source}: {bad:,} of {bad + good:,} records cannot be read, {first.place} {first.reason}: look "
            "whether it is what its name says"
        )


def _types(rows: pa.Table, has_types: bool) -> tuple[dict[str, str], list[str]]:
    """The types to be declared for columns of text, and what is unsure of them.

    They are those of dates and times, and text for codes where a source might send numbers another day.
    """
    columns = {field.name: whole(rows.column(field.name)) for field in rows.schema if is_text(field.type)}
    texts = {name: column for name, column in columns.items() if column.null_count < len(column)}
    codes = {name for name, column in texts.items() if are_codes(column)}
    types = {name: one for name, column in texts.items() if (one := _iso(column))}
    found = sniff_times({name: column for name, column in texts.items() if name not in types})
    types |= {name: one.form for name, one in found.items() if one.form}
    types |= dict.fromkeys(sorted(codes - set(types)), "text") if not has_types else {}
    numbers = [
        f"types: column '{name}' is text of numbers, it may be float"
        for name, column in texts.items()
        if name not in {*types, *codes} and text_types.read(column, "float") is not None
    ]
    return types, [*undecided(found, texts), *numbers]


def _iso(texts: pa.Array) -> str | None:
    return next((name for name in ("date", "time") if text_types.read(texts, name) is not None), None)


def _explained(column: Column, rows: pa.Table, types: Mapping[str, str], forcing: Forcing) -> Column:
    forced = forcing(column.name, whole(rows.column(column.name))) if column.type == "text" else None
    return replace(column, type=types.get(column.name, column.type), forced=forced)
