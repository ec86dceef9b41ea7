"""Reads one source's rows of one partition, whatever the kind of source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import pyarrow as pa

from evergreen.errors import SourceError, UnavailableError
from evergreen.pipeline import Pipeline
from evergreen.rows.batches import Rows
from evergreen.sources import Wanted, Window
from evergreen.sources.checkpoint import Checkpoint
from evergreen.sources.cut import Cut
from evergreen.spec import Spec


def extract(
    pipeline: Pipeline,
    source_name: str,
    partition: str,
    published: Mapping[str, str] = {},
    checkpoint: Checkpoint | None = None,
    *,
    whole: bool = False,
) -> Rows:
    """The named source's rows of a partition, streamed, in the lake's types.

    A format without types is read by the `published` types of its columns. With a `checkpoint` an API's read
    resumes where an earlier attempt ended. With `whole` a source that sends all of history is not cut. Raises
    `SourceError` and `UnavailableError`, here or while the rows are read, prefixed with pipeline, partition
    and source.
    """
    if not whole and is_cut(pipeline.spec, source_name):
        cut = partial(cut_source, pipeline, source_name, [partition], published, checkpoint)
        return extract_cut(pipeline, source_name, partition, cut)
    where = f"{pipeline.name} {partition}: source '{source_name}'"
    request = replace(wanted(pipeline, partition), checkpoint=checkpoint, published=published)
    with _telling(where):
        rows = pipeline.spec.sources[source_name].sent(request)
    return Rows(rows.schema, _batches(rows, where), rows.rejected)


def is_cut(spec: Spec, source_name: str) -> bool:
    """Whether the source is read whole, and cut into partitions."""
    return spec.sources[source_name].config.whole and spec.calendar.has_time


def cut_source(
    pipeline: Pipeline,
    source_name: str,
    partitions: Sequence[str],
    published: Mapping[str, str] = {},
    checkpoint: Checkpoint | None = None,
) -> Cut:
    """The named source's rows of several partitions, from one read of all that it has.

    Raises `SourceError` and `UnavailableError`, without a prefix.
    """
    request = replace(wanted(pipeline, partitions[0]), checkpoint=checkpoint, published=published)
    return pipeline.spec.sources[source_name].cut(request, partitions)


def extract_cut(pipeline: Pipeline, source_name: str, partition: str, cut: Callable[[], Cut]) -> Rows:
    """The rows of a partition from what `cut` returns; raises as `extract`."""
    with _telling(f"{pipeline.name} {partition}: source '{source_name}'"):
        return cut().rows(partition)


def extract_changed(
    pipeline: Pipeline, source_name: str, partition: str, window: Window, columns: Sequence[str]
) -> Rows:
    """Event time and these columns of the rows that changed within the window; raises as `extract`."""
    key = f" (key: {', '.join(columns)})" if columns else ""
    where = f"{pipeline.name} {partition}: source '{source_name}': changed{key}"
    with _telling(where):
        rows = pipeline.spec.sources[source_name].read_changed(wanted(pipeline, partition), window, columns)
    return Rows(rows.schema, _batches(rows, where), rows.rejected)


def wanted(pipeline: Pipeline, partition: str) -> Wanted:
    """The request that is passed to a source of the pipeline."""
    spec = pipeline.spec
    return Wanted(partition, spec.calendar, spec.folder, pipeline.storage, pipeline.connect)


def _batches(rows: Rows, where: str) -> Iterator[pa.RecordBatch]:
    try:
        with _telling(where):
            yield from rows
    finally:
        rows.close()


@contextmanager
def _telling(where: str) -> Iterator[None]:
    try:
        yield
    except (SourceError, UnavailableError) as error:
        raise type(error)(f"{where}: {error}") from None
