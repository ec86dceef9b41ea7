"""Replacing a partition of a table, in one transaction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import pyarrow as pa


class Writer(ABC):
    """One transaction that writes: an error rolls it back, its end commits.

    Methods raise the driver's own errors, which the writer's opener converts.
    """

    types: ClassVar[Mapping[str, str]]
    """The database's type for each Arrow type, as the catalogue writes it."""

    arrays: ClassVar[bool] = False
    """Whether a column may be an array of values of such a type, written as `type[]`."""

    mark: ClassVar[str] = "?"
    """A parameter in a statement."""

    @abstractmethod
    def run(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows that a statement gives, if any."""

    @abstractmethod
    def lock(self, table: str) -> None:
        """Make other writers of the table wait until this one ends, even before the table exists."""

    @abstractmethod
    def shape(self, table: str) -> dict[str, str]:
        """The types of the columns of a table, as the catalogue writes them; empty if there is no table."""

    def json_column(self, texts: Sequence[str | None]) -> tuple[str, pa.Array]:
        """A column of JSON for `append`: its type, as the catalogue writes it, and its values; here text."""
        import pyarrow as pa

        return self.types["string"], pa.array(texts, pa.string())

    @abstractmethod
    def append(self, table: str, rows: pa.Table) -> None:
        """Insert rows into a table that has their columns."""

    def quoted(self, name: str) -> str:
        """An identifier, quoted."""
        return '"' + name.replace('"', '""') + '"'

    def sql_type(self, kind: pa.DataType, *, key: bool) -> str | None:
        """The type of a column in a table that Evergreen creates; None if the database has none."""
        import pyarrow as pa

        if self.arrays and not key and pa.types.is_list(kind):
            element = self.types.get(str(kind.value_type))
            return None if element is None else f"{element}[]"
        return self.types.get(str(kind))

    def create(self, table: str, columns: Mapping[str, str], keys: Sequence[str]) -> None:
        """Create a table with a primary key, and an index by all of it but the partition, the first of it."""
        typed = ", ".join(f"{self.quoted(name)} {kind}" for name, kind in columns.items())
        primary = ", ".join(self.quoted(key) for key in keys)
        self.run(f"CREATE TABLE {self.quoted(table)} ({typed}, PRIMARY KEY ({primary}))")
        if not keys[1:]:
            return
        by_key = ", ".join(self.quoted(key) for key in keys[1:])
        name = self.quoted(f"{table[:50]}_by_key")
        self.run(f"CREATE INDEX IF NOT EXISTS {name} ON {self.quoted(table)} ({by_key})")

    def extend(self, table: str, columns: Mapping[str, str]) -> None:
        """Add columns to a table, null in the rows that are there."""
        for name, kind in columns.items():
            self.run(f"ALTER TABLE {self.quoted(table)} ADD COLUMN {self.quoted(name)} {kind}")

    def delete(self, table: str, column: str, value: str) -> None:
        """Delete the rows in which the column has the value."""
        statement = f"DELETE FROM {self.quoted(table)} WHERE {self.quoted(column)} = {self.mark}"  # noqa: S608
        self.run(statement, [value])
