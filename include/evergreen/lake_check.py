"""What is missing or damaged of the tables of a lake, by file and partition, and how to make it again."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from evergreen.delta_errors import DENIED, OUT_OF_REACH, last_cause, plain
from evergreen.errors import UnavailableError

if TYPE_CHECKING:
    from evergreen.storage import Storage

_MADE_BY = {
    "partitions": "evergreen ingest {pipeline} --partition {key}",
    "quarantine": "evergreen ingest {pipeline} --partition {key}",
    "predictions": "evergreen score {pipeline} --partition {key}",
    "monitoring": "evergreen monitor {pipeline} --partition {key}",
    "labels": "evergreen labels {pipeline} --partition {key}",
}
COMMIT = re.compile(r"_delta_log/(\d{20})\.json$")
CHECKPOINT = re.compile(r"_delta_log/(\d{20})\.checkpoint.*\.parquet$")
_END = b"PAR1"
_PARTITION = "partition"


@dataclass(frozen=True)
class Present:
    """A file that is in a table now."""

    path: str
    size: int
    partition: str


def present_files(table: DeltaTable) -> dict[str, list[Present]]:
    """The files of each partition, by its key."""
    found = pa.table(table.get_add_actions(flatten=True))
    columns = (found.column(name).to_pylist() for name in ("path", "size_bytes", f"partition.{_PARTITION}"))
    files: dict[str, list[Present]] = {}
    for path, size, key in zip(*columns, strict=True):
        files.setdefault(key, []).append(Present(path, size, key))
    return files


def damage(storage: Storage, pipeline: str, table: str) -> list[str]:
    """A line for each file of the table's present version that is missing or damaged; none without a table.

    A file counts as damaged if its size is not the one in the table's log, or it does not end as Parquet
    does. Rows are not read. Raises `UnavailableError` or `StorageError` if the store does not answer.
    """
    folder = f"{pipeline}/lake/{table}/"
    where = f"{pipeline}: lake table '{table}'"
    there = {file.key.removeprefix(folder): file.size for file in storage.look(folder)}
    if not there:
        return []
    if (gap := _gap(there)) is not None:
        log = f"{folder}_delta_log/{gap:020d}.json"
        return [f"{where}: its log has no entry {gap}: restore {storage.uri(log)} from a backup"]
    try:
        present = present_files(DeltaTable(storage.uri(folder), storage_options=storage.delta_options))
    except (DeltaError, OSError, ValueError) as error:
        text = plain(error)
        if OUT_OF_REACH.search(text) or DENIED.search(text):
            raise UnavailableError(f"{where} cannot be looked at ({last_cause(text)}): run again") from None
        return [
            f"{where}: its log cannot be read ({last_cause(text)}): restore "
            f"{storage.uri(folder + '_delta_log/')} from a backup"
        ]
    problems = []
    for file in sorted(itertools.chain(*present.values()), key=lambda found: found.partition):
        name = storage.uri(folder + file.path)
        again = _MADE_BY[table].format(pipeline=pipeline, key=file.partition)
        if file.path not in there:
            problems.append(
                f"{where}: {file.partition}: {name} is gone: restore it, or make it again: {again}"
            )
        elif there[file.path] != file.size or storage.tail(folder + file.path, len(_END)) != _END:
            problems.append(
                f"{where}: {file.partition}: {name} is damaged: restore it, or delete it and make it again: "
                f"{again}"
            )
    return problems


def _gap(there: dict[str, int]) -> int | None:
    """The number of the first log entry that is missing after the last checkpoint; None if none is."""
    entries = {int(found[1]) for name in there if (found := COMMIT.search(name))}
    checkpoints = [int(found[1]) for name in there if (found := CHECKPOINT.search(name))]
    first = max(checkpoints, default=-1) + 1
    numbers = range(first, max(entries, default=-1) + 1)
    return next((number for number in numbers if number not in entries), None)
