"""A description held against what its sources give for one partition, before anything is ingested.

What a description says of columns is otherwise first missed where it is used: a wrong target by the first
training, which may be weeks after the first night.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from queue import Empty, Queue
from threading import Thread

import pyarrow as pa

from evergreen.errors import EvergreenError, SourceError, SpecError, UnavailableError
from evergreen.ingestion.extract import extract
from evergreen.ingestion.join import join_sources
from evergreen.ingestion.read_as import types_by_source
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.rows.blocks import begun
from evergreen.shown import shown
from evergreen.sources.nearest import nearest
from evergreen.spec import Spec
from evergreen.task import Task
from evergreen.validation.arguments import check_types
from evergreen.validation.suite import Suite

ANSWERED = 5.0
"""Seconds that a source has to answer in, where nobody asked to wait."""

LOOKED_AT = 1_000
"""How many rows are read, where a source gives them in batches."""


@dataclass(frozen=True)
class SourceLook:
    """The columns of a partition's joined rows, and how many of its rows were read to see them.

    Of a source with all of history they are rows of any partition.
    """

    partition: str
    schema: pa.Schema
    rows: int

    def in_words(self, spec: Spec) -> str:
        """The columns with their types, and what the description uses each for."""
        uses = dict(used_columns(spec))
        columns = []
        for column in self.schema:
            found = [use for use, name in uses.items() if name == column.name]
            columns.append(
                f"{shown(column.name)} {_word(column.type)}" + (f" ({', '.join(found)})" if found else "")
            )
        count = f"{self.rows:,} row{'s' * (self.rows != 1)} looked at" if self.rows else "no rows"
        return f"{self.partition}: {count}: {', '.join(columns) or 'no columns'}"


@dataclass(frozen=True)
class Mismatch:
    """What the description says and the source does not have: the key path or the place, and a sentence."""

    where: str
    sentence: str


def look_at_sources(pipeline: Pipeline, partition: str | None = None) -> SourceLook:
    """The columns of the sources' joined rows of a partition, by default the newest published or the first.

    Right sides of joins are read whole. Raises what reading and joining raise.
    """
    published = [] if partition else pipeline.lake.partitions()
    key = partition or (published[-1] if published else pipeline.spec.first_partition)
    types = types_by_source(pipeline.spec, pipeline.lake.schema(Table.PARTITIONS))
    sources = {name: extract(pipeline, name, key, types[name], whole=True) for name in pipeline.spec.sources}
    rows = begun(join_sources(pipeline.spec, sources), LOOKED_AT)
    try:
        return SourceLook(key, rows.schema, next((batch.num_rows for batch in rows), 0))
    finally:
        rows.close()


def look_within(pipeline: Pipeline, seconds: float) -> SourceLook | None:
    """As `look_at_sources`; None where the sources do not answer in time, and go on by themselves.

    A source that cannot be reached has not answered either, nor has one that is asked by partition and may
    have none of this one.
    """
    found: Queue[SourceLook | EvergreenError] = Queue()

    def look() -> None:
        try:
            found.put(look_at_sources(pipeline))
        except EvergreenError as error:
            found.put(error)

    # A pool would be waited for when the interpreter ends.
    Thread(target=look, daemon=True, name="look at sources").start()
    try:
        answer = found.get(timeout=seconds)
    except Empty:
        return None
    if isinstance(answer, SourceLook):
        return answer
    by_partition = any(source.config.asks_by_partition for source in pipeline.spec.sources.values())
    if isinstance(answer, UnavailableError) or (isinstance(answer, SourceError) and by_partition):
        return None
    raise answer


def used_columns(spec: Spec) -> Iterator[tuple[str, str]]:
    """Every key path of the description that names a column of the joined rows, with the column."""
    if spec.time_column:
        yield "time_column", str(spec.time_column)
    yield from ((f"key.{number}", name) for number, name in enumerate(spec.key or ()))
    if spec.target and not spec.labels:
        yield "target", spec.target
    training = spec.training
    if training.weight:
        yield "training.weight", training.weight
    if training.tuning.group:
        yield "training.tuning.group", training.tuning.group
    found_elsewhere = {*spec.features.looked_up, *(spec.targets if spec.labels else ())}
    for number, name in enumerate(spec.features.columns):
        if name not in found_elsewhere:
            yield f"features.columns.{number}", name
    if spec.features.function is None and not spec.feature_sets:
        # Otherwise they may name features.
        for name in ("slices", "fairness"):
            rules = getattr(spec.gate, name)
            yield from ((f"gate.{name}.{number}.column", rule.column) for number, rule in enumerate(rules))


def mismatches(spec: Spec, suite: Suite, schema: pa.Schema) -> Iterator[Mismatch]:
    """What description and suite say of columns, and rows of this schema do not bear out."""
    there = schema.names
    if not there:
        return
    for where, name in used_columns(spec):
        if name not in there:
            yield Mismatch(where, f"the rows have no column '{name}' ({nearest(name, there)})")
    if not spec.labels and spec.target in there and spec.task is Task.REGRESSION:
        kind = schema.field(spec.target).type
        if not (pa.types.is_null(kind) or _is_number(kind)):
            yield Mismatch("target", f"'{spec.target}' is {kind} and a regression predicts a number")
    own = set(spec.keys)
    for entry in suite.entries:
        missing = [name for name in entry.columns_named if name not in there and name not in own]
        if missing and entry.name != "expect_column_to_exist":
            said = "; ".join(f"no column '{name}' ({nearest(name, there)})" for name in missing)
            yield Mismatch(
                entry.place.removeprefix(f"{spec.folder}/"), f"{entry.label}: the rows have {said}"
            )
    try:
        check_types(spec, suite, schema)
    except SpecError as error:
        yield Mismatch("expectations", str(error))


def _word(kind: pa.DataType) -> str:
    return "time" if pa.types.is_timestamp(kind) else str(kind)


def _is_number(kind: pa.DataType) -> bool:
    numbers = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
    return any(is_kind(kind) for is_kind in numbers)
