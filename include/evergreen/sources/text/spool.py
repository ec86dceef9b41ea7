"""Columns of text on their way to rows: kept in a temporary file until the types of all are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from evergreen.errors import SourceError
from evergreen.rows.batches import Rejected, Rows
from evergreen.rows.columns import LakeTypes, declared
from evergreen.rows.spill import Spill
from evergreen.shown import shown
from evergreen.sources.text.types import IN_CSV, READINGS, fit, read

_BLOCK_ROWS = 131_072


class TextSpool:
    """Batches of text columns are added, then given back in types that hold for all their values.

    `names` are the columns, `types` what some of them are declared to be. Raises `SourceError` for a name
    that the lake cannot keep.
    """

    def __init__(self, names: Sequence[str], types: Mapping[str, str]) -> None:
        self.names = list(names)
        self._types = {name: types[name] for name in names if name in types}
        LakeTypes(self._types).schema(pa.schema([(name, pa.string()) for name in names]))
        self._readings: dict[str, tuple[str, ...]] = {
            name: IN_CSV for name in names if name not in self._types
        }
        self._filled: set[str] = set()
        self._spill = Spill()

    def add(self, batch: pa.RecordBatch) -> dict[int, str]:
        """Keep the rows that fit the declared types; returns why the others do not, by their index."""
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        misfits: dict[int, str] = {}
        for name, type_name in self._types.items():
            columns[name], reasons = fit(columns[name], type_name)
            for row, reason in reasons.items():
                misfits.setdefault(row, f"column '{shown(name)}': {reason}")
        fitting = pa.RecordBatch.from_pydict(columns)
        if misfits:
            rows = pa.array([row not in misfits for row in range(batch.num_rows)], pa.bool_())
            fitting = fitting.filter(rows)
        if fitting.num_rows:
            self._narrow(fitting)
            self._spill.write(fitting)
        return misfits

    def rows(self, rejected: list[Rejected]) -> Rows:
        """All rows; to be called once, after the last `add`. `Rows.close` closes the spool."""
        schema = pa.schema([(name, self._type(name)) for name in self.names])
        return Rows(schema, _Typed(self._spill, schema, self._chosen()), rejected)

    def close(self) -> None:
        """Give the temporary file's space back."""
        self._spill.close()

    def _narrow(self, batch: pa.RecordBatch) -> None:
        for name, readings in self._readings.items():
            texts = batch.column(name)
            if texts.null_count < len(texts):
                self._filled.add(name)
                self._readings[name] = tuple(one for one in readings if read(texts, one) is not None)

    def _chosen(self) -> dict[str, str]:
        return {
            name: readings[0]
            for name, readings in self._readings.items()
            if readings and name in self._filled
        }

    def _type(self, name: str) -> pa.DataType:
        if name in self._types:
            return declared(self._types[name])
        if name not in self._filled:
            return pa.null()
        readings = self._readings[name]
        return READINGS[readings[0]] if readings else pa.string()


class _Typed:
    """The spilled batches in their final types."""

    def __init__(self, spill: Spill, schema: pa.Schema, readings: Mapping[str, str]) -> None:
        self._spill = spill
        self._schema = schema
        self._readings = readings

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            for batch in self._spill:
                columns = [self._typed(field, batch.column(field.name)) for field in self._schema]
                typed = pa.RecordBatch.from_arrays(columns, schema=self._schema)
                for begin in range(0, typed.num_rows, _BLOCK_ROWS):
                    yield typed.slice(begin, _BLOCK_ROWS)
        finally:
            self.close()

    def close(self) -> None:
        """Give the temporary file's space back."""
        self._spill.close()

    def _typed(self, field: pa.Field, values: pa.Array) -> pa.Array:
        if values.type == field.type:
            return values
        if pa.types.is_null(field.type):
            return pa.nulls(len(values))
        typed = read(values, self._readings[field.name])
        if typed is None:
            raise SourceError(f"column '{shown(field.name)}' was read as {field.type} and is none: run again")
        return typed
