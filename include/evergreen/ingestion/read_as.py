"""The types that columns are published in, by which sources without types are read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from threading import Lock
from typing import TypeVar

import pyarrow as pa

from evergreen.errors import SourceError
from evergreen.ingestion.conform import Policy
from evergreen.ingestion.extract import cut_source, extract, extract_cut, is_cut
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.rows.batches import Rows
from evergreen.rows.columns import declared
from evergreen.sources.checkpoint import Checkpoint
from evergreen.sources.cut import Cut
from evergreen.spec import Spec

Result = TypeVar("Result")

_NAMES = {declared(name): name for name in ("text", "float", "int", "boolean", "date", "time")}


class ReadAs:
    """Reads the sources of one run, those without types by the types that their columns are published in.

    These are the types when the run begins, read once. Before the first publication they are those that a
    column had in the first partition of the run where it has values. Until they are `settled`, partitions
    must therefore be read one after another.
    """

    def __init__(
        self, pipeline: Pipeline, partitions: Sequence[str], sources: Collection[str] | None = None
    ) -> None:
        spec, published = pipeline.spec, pipeline.lake.schema(Table.PARTITIONS)
        self._pipeline, self._partitions = pipeline, tuple(partitions)
        self._cuts: dict[str, Cut | SourceError] = {}
        self._cutting = Lock()
        self._policy = spec.validation.schema_change
        self._types = types_by_source(spec, published)
        self._own = {name: _own_columns(spec, name) for name in spec.sources}
        self._open = set(sources or spec.sources) if published is None else set[str]()

    def extract(self, source_name: str, partition: str, checkpoint: Checkpoint | None = None) -> Rows:
        """The source's rows of a partition, as `extract` reads them; one that is `whole` is read once."""
        types = self._types[source_name]
        if len(self._partitions) > 1 and is_cut(self._pipeline.spec, source_name):
            rows = extract_cut(self._pipeline, source_name, partition, partial(self._cut, source_name))
        else:
            rows = extract(self._pipeline, source_name, partition, types, checkpoint)
        if source_name in self._open:
            self._learn(source_name, rows.schema)
        return rows

    def _cut(self, source_name: str) -> Cut:
        """The source's rows, which are read once; if that fails, it fails for each partition alike."""
        with self._cutting:
            if source_name not in self._cuts:
                types = self._types[source_name]
                try:
                    found: Cut | SourceError = cut_source(
                        self._pipeline, source_name, self._partitions, types
                    )
                except SourceError as error:
                    found = error
                self._cuts[source_name] = found
            kept = self._cuts[source_name]
        if isinstance(kept, SourceError):
            raise SourceError(str(kept))
        return kept

    @property
    def settled(self) -> bool:
        """Whether no further partition changes the types."""
        return not self._open

    def _learn(self, source_name: str, schema: pa.Schema) -> None:
        columns = [column for column in schema if column.name not in self._own[source_name]]
        self._types[source_name] = named_types(columns, self._policy) | self._types[source_name]
        if schema.names and not any(pa.types.is_null(column.type) for column in columns):
            self._open.remove(source_name)


def types_by_source(spec: Spec, published: pa.Schema | None) -> dict[str, dict[str, str]]:
    """The types of a published schema for each source.

    A column of a name comes from one source only, but for the keys of a join's right side, which are left
    out of the table: they are read as the column on the left that they are compared with.
    """
    known = named_types(published or (), spec.validation.schema_change)
    found = {source: dict(known) for source in spec.sources}
    for join in spec.join:
        right = found[join.right]
        for key in join.on.values():
            right.pop(key, None)
        right |= {key: known[name] for name, key in join.on.items() if name in known}
    for source, described in spec.sources.items():
        found[source].pop(described.time_column or "", None)  # it becomes a time from a day as well
    return found


def named_types(columns: Iterable[pa.Field], policy: Policy = "refuse") -> dict[str, str]:
    """The types of columns as a description writes them, without those that have no name or may change."""
    return {column.name: name for column in columns if (name := _name(column.type, policy))}


def each_read(
    read: Callable[[str], Result], partitions: Sequence[str], types: ReadAs, readers: int
) -> list[Result]:
    """What `read` returns for each partition, several at the same time as soon as the types are settled."""
    futures: list[Future[Result]] = []
    with ThreadPoolExecutor(readers) as pool:
        try:
            for partition in partitions:
                futures.append(submitted(pool, read, partition, types))
            return [future.result() for future in futures]
        finally:
            pool.shutdown(cancel_futures=True)


def submitted(
    pool: ThreadPoolExecutor, read: Callable[[str], Result], partition: str, types: ReadAs | None
) -> Future[Result]:
    """The partition's read in the pool; it is waited for if the types of the next one follow from it."""
    future = pool.submit(read, partition)
    if types is not None and not types.settled:
        wait([future])
    return future


def _own_columns(spec: Spec, source_name: str) -> set[str]:
    """The columns of a source whose types do not follow from what is published under their names."""
    keys = {key for join in spec.join if join.right == source_name for key in join.on.values()}
    return keys | {spec.sources[source_name].time_column or ""}


def _name(kind: pa.DataType, policy: Policy) -> str | None:
    """The type as a description writes it; None if it has no such name, or its values may change it."""
    if policy == "evolve" and (pa.types.is_integer(kind) or pa.types.is_date(kind)):
        return None  # whole numbers may become float64, and dates times
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision}, {kind.scale})"
    return _NAMES.get(kind)
