"""A source's rows as a stream: batches that are read once, and the records that could not be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa


@dataclass(frozen=True)
class Rejected:
    """A record that could not be read: its text, its position (`rentals.csv:17`), and why."""

    text: str
    place: str
    reason: str


@dataclass
class Rows:
    """Rows of one source and partition in the lake's types, batch by batch; they can be read once.

    `rejected` is complete when all batches were read. Reading may raise what the source's reader raises. Call
    `close` to abandon a read, which frees the reader's resources.
    """

    schema: pa.Schema
    batches: Iterable[pa.RecordBatch]
    rejected: list[Rejected] = field(default_factory=list)

    @classmethod
    def of(cls, table: pa.Table, rejected: Iterable[Rejected] = ()) -> Rows:
        """The rows of a table that is in memory already."""
        return cls(table.schema, table.to_batches(), list(rejected))

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return iter(self.batches)

    def table(self) -> pa.Table:
        """All the rows at once; they must fit into memory."""
        return pa.Table.from_batches(self, self.schema)

    def close(self) -> None:
        """End the read."""
        if close := getattr(self.batches, "close", None):
            close()
