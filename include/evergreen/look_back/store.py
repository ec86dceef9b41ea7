"""The table `evergreen_look_back` in PostgreSQL: digest and blob of each partition of any pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from evergreen.connections import Connection
from evergreen.errors import SourceError
from evergreen.postgres import STATEMENT_TIMEOUT, transaction

_CREATE = """
    CREATE TABLE IF NOT EXISTS evergreen_look_back (
        pipeline text NOT NULL,
        partition text NOT NULL,
        digest text NOT NULL,
        content bytea NOT NULL,
        PRIMARY KEY (pipeline, partition)
    )
"""
_THERE = "SELECT to_regclass('evergreen_look_back') IS NOT NULL"
_LOCK = "SELECT pg_advisory_xact_lock(hashtext($1))"
_KEPT = "SELECT partition, digest FROM evergreen_look_back WHERE pipeline = $1"
_READ = """
    SELECT partition, digest, content FROM evergreen_look_back
    WHERE pipeline = $1 AND partition >= $2 AND partition <= $3
"""
_WRITE = """
    INSERT INTO evergreen_look_back (pipeline, partition, digest, content) VALUES ($1, $2, $3, $4)
    ON CONFLICT (pipeline, partition) DO UPDATE SET digest = excluded.digest, content = excluded.content
"""
_DELETE = "DELETE FROM evergreen_look_back WHERE pipeline = $1 AND partition = $2"
_FORGET = "DELETE FROM evergreen_look_back WHERE pipeline = $1"
_COUNT = "SELECT count(*) FROM evergreen_look_back WHERE pipeline = $1"


@dataclass(frozen=True)
class Kept:
    """What the table has of a partition: the digest of its rows, and its blob."""

    digest: str
    blob: bytes


class Store:
    """What a pipeline has in the table, in one transaction."""

    def __init__(self, cursor: Any, pipeline: str) -> None:
        self._cursor = cursor
        self._pipeline = pipeline

    def lock(self) -> None:
        """Make other writers of the pipeline's partitions wait until this transaction ends."""
        self._run(_LOCK, f"evergreen_look_back.{self._pipeline}")
        if not self._is_there():
            self._run(_LOCK, "evergreen_look_back")
            self._run(_CREATE)

    def digests(self) -> dict[str, str]:
        """The digest of each partition that the table has."""
        return {str(key): str(digest) for key, digest in self._run(_KEPT, self._pipeline)}

    def read(self, first: str, last: str) -> dict[str, Kept]:
        """The partitions from `first` to `last` that the table has; none where there is no table."""
        if not self._is_there():
            return {}
        found = self._run(_READ, self._pipeline, first, last)
        return {str(key): Kept(str(digest), bytes(blob)) for key, digest, blob in found}

    def write(self, partition: str, kept: Kept) -> None:
        """Put the partition in the place of what the table has of it."""
        self._run(_WRITE, self._pipeline, partition, kept.digest, kept.blob)

    def delete(self, partition: str) -> None:
        """Remove the partition."""
        self._run(_DELETE, self._pipeline, partition)

    def forget(self) -> int:
        """Remove all that the table has of the pipeline; returns how many partitions that were."""
        if not self._is_there():
            return 0
        count = int(self._run(_COUNT, self._pipeline)[0][0])
        self._run(_FORGET, self._pipeline)
        return count

    def _is_there(self) -> bool:
        return bool(self._run(_THERE)[0][0])

    def _run(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        self._cursor.execute(statement, list(values) or None)
        return list(self._cursor.fetchall()) if self._cursor.description else []


@contextmanager
def opened(
    connection: Connection, pipeline: str, *, read_only: bool = False, timeout: timedelta = STATEMENT_TIMEOUT
) -> Iterator[Store]:
    """A transaction on the table; an error rolls it back, its end commits.

    Raises as `check_connection` and `postgres.transaction` do.
    """
    check_connection(connection)
    with transaction(connection, read_only=read_only, timeout=timeout) as cursor:
        yield Store(cursor, pipeline)


def check_connection(connection: Connection) -> None:
    """Raise `SourceError` for a connection that is none of PostgreSQL's; asks nobody."""
    if connection.conn_type != "postgres":
        raise SourceError(
            f"connection '{connection.conn_id}' is of type {connection.conn_type}: name one of type postgres "
            "in serving.look_back"
        )
