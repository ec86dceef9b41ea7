"""Scoring of a partition that memory does not hold: rows are read, predicted and written in parts.

What is written is, to the bit, what all rows together would give: a row's prediction depends on no other row,
which was tried in training, and the parts follow one another in the order of time and key.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from evergreen.asked.finding import Together, stored_asked
from evergreen.errors import NotFoundError
from evergreen.features.build import in_order
from evergreen.features.columns import columns_read
from evergreen.features.published import names_read
from evergreen.lake import PARTITION, Table
from evergreen.rows.frame import to_frame
from evergreen.rows.partition_file import PartitionFile, PartitionWriter
from evergreen.scoring.published import in_columns

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline
    from evergreen.scoring.checked_model import CheckedModel
    from evergreen.spec import Spec

LARGE = 2**24
"""Values of a partition, its rows times the columns that are read, from which it is scored in parts.

They take 128 MiB where each has 8 bytes, and scoring several times that. What the file takes says little.
"""

PART = 131_072  # rows

_Sorted = tuple[Any, ...]


@dataclass(frozen=True)
class Made:
    """The file of a partition's predictions, and the columns of their table with it."""

    file: PartitionFile = field(repr=False)
    schema: pa.Schema = field(repr=False)


def is_large(pipeline: Pipeline, model: CheckedModel, partition: str) -> bool:
    """Whether a partition is large, and the model predicts each of its rows by itself.

    It does not where features look back, or at other rows, or up in other pipelines. What goes to a database
    goes there in one transaction, and is not scored in parts.
    """
    spec = model.pipeline.spec
    if spec.scoring or spec.explain or spec.features.lookups or spec.looks_back_to(partition) != partition:
        return False
    if pipeline.lake.values(partition, names_read(model.pipeline)) < LARGE:
        return False
    return stored_asked(pipeline, model.version).together is Together.ROW


def _place(pipeline: Pipeline, partition: str) -> str:
    """Where the file of a published partition is; raises `NotFoundError` if it is not published."""
    files = pipeline.lake.files(Table.PARTITIONS)
    if partition not in files:
        raise NotFoundError(
            f"{pipeline.name} {partition}: this partition is not published: run evergreen ingest "
            f"{pipeline.name} --partition {partition}"
        )
    return f"{pipeline.name}/lake/{Table.PARTITIONS}/{files[partition]}"


def file_of_predictions(
    pipeline: Pipeline, partition: str, predict: Callable[[pa.Table], pa.Table]
) -> Made | None:
    """The predictions of a large partition, by `predict` for each part of its rows.

    `pipeline` has the features of the version that predicts. None where its rows are not in the order of time
    and key, or some of them may have no key of their own: then they have to be looked at together.
    """
    published = pipeline.lake.schema(Table.PARTITIONS)
    assert published is not None
    with tempfile.TemporaryFile(prefix="evergreen-") as local:
        pipeline.storage.download(_place(pipeline, partition), local)
        file = pq.ParquetFile(local, pre_buffer=False)
        read = [published.field(name) for name in columns_read(pipeline.spec, published.names)]
        parts = _parts(file, pa.schema(read), partition)
        keys = _Keys(file.metadata.num_rows)
        writer = _written(pipeline, map(predict, _in_turn(pipeline.spec, parts)), keys)
    if writer is None:
        return None
    if keys.repeated():
        writer.discard()
        return None
    return Made(writer.finish(), writer.schema)


def _written(pipeline: Pipeline, parts: Iterable[pa.Table], keys: _Keys) -> PartitionWriter | None:
    """A writer that has the predictions; None, and nothing left behind, where they cannot be in parts."""
    there = pipeline.lake.schema(Table.PREDICTIONS)
    writer: PartitionWriter | None = None
    try:
        for part in parts:
            made, schema = in_columns(there, part)
            if set(made.schema) != set(schema):
                raise _NotInPartsError  # the lake will say why it refuses the columns
            keys.add(to_frame(made.select(list(pipeline.spec.keys))))
            writer = writer or PartitionWriter(schema)
            for batch in made.select(schema.names).combine_chunks().to_batches():
                writer.write(batch)
    except BaseException as error:
        if writer is not None:
            writer.discard()
        if isinstance(error, _NotInPartsError):
            return None
        raise
    return writer


class _NotInPartsError(Exception):
    """The rows of the parts have to be looked at together."""


def _in_turn(spec: Spec, parts: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The parts, as long as each follows the one before in the order of time and key."""
    last: _Sorted | None = None
    for rows in parts:
        first, following = _ends(spec, rows)
        if last is not None and not _follows(first, last):
            raise _NotInPartsError
        last = following
        yield rows


def _parts(file: pq.ParquetFile, schema: pa.Schema, partition: str) -> Iterator[pa.Table]:
    """The rows in these columns of the table, in parts; what a file of an older release lacks is null."""
    there = [name for name in file.schema_arrow.names if name in schema.names]
    for batch in file.iter_batches(batch_size=PART, columns=there, use_threads=False):
        rows = pa.Table.from_batches([batch])
        columns = [
            rows.column(field.name).cast(field.type)
            if field.name in rows.column_names
            else pa.nulls(len(rows), field.type)
            for field in schema
        ]
        table = pa.table(columns, schema=schema)
        yield table.append_column(PARTITION, pa.repeat(pa.scalar(partition, pa.string()), len(rows)))


def _ends(spec: Spec, rows: pa.Table) -> tuple[_Sorted, _Sorted]:
    """What the first and the last row of a part are sorted by."""
    by = list(dict.fromkeys([*([spec.time_column] if spec.time_column else []), *spec.keys]))
    ordered = in_order(spec, to_frame(rows.select(by)))[by]
    first, last = (tuple(ordered.iloc[place]) for place in (0, -1))
    return first, last


def _follows(first: _Sorted, last: _Sorted) -> bool:
    """Whether a row comes after another; what is missing, or of another type, cannot be told."""
    try:
        return not any(map(pd.isna, (*first, *last))) and bool(last <= first)
    except TypeError:
        return False


class _Keys:
    """Digests of the keys of so many rows: eight bytes each."""

    def __init__(self, rows: int) -> None:
        self._digests: NDArray[np.uint64] = np.empty(rows, dtype=np.uint64)
        self._filled = 0

    def add(self, keys: pd.DataFrame) -> None:
        found = pd.util.hash_pandas_object(keys, index=False).to_numpy()
        self._digests[self._filled : self._filled + len(found)] = found
        self._filled += len(found)

    def repeated(self) -> bool:
        """Whether two keys have one digest: they are the same, or, hardly ever, not."""
        found = self._digests[: self._filled]
        found.sort()
        return bool((found[1:] == found[:-1]).any())
