"""Whether a source's partition is complete: a question put to the source before anything is read of it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from tenacity import wait_random_exponential

from evergreen.errors import SourceError, StorageError, UnavailableError
from evergreen.pipeline import Pipeline
from evergreen.postgres import transaction
from evergreen.rows.columns import TIME
from evergreen.shown import shown
from evergreen.sources import Complete, Paging, Source
from evergreen.sources.files.locate import fill, locate
from evergreen.sources.http.client import Answer, Session, api_of
from evergreen.sources.http.paging import at, first_page
from evergreen.sources.http.stumble import StumbleError

TIMEOUT = timedelta(minutes=1)  # of one question
ATTEMPTS = 3  # at an API that stumbles
ANSWER_BYTES = 2**20
_BACKOFF = wait_random_exponential(multiplier=0.25, max=5)
_SHOWN = 3  # partitions that a line names


@dataclass(frozen=True)
class Missing:
    """The partitions that are not known to be complete, in order, and why in one line."""

    partitions: tuple[str, ...]
    reason: str


def incomplete(pipeline: Pipeline, source_name: str, partition: str) -> str | None:
    """What is missing of a source's partition, in one line; None if it is complete or declares nothing.

    Raises `UnavailableError` where the source cannot be asked just now and `SourceError` where asking again
    is vain, both prefixed with pipeline, partition and source.
    """
    source = pipeline.spec.sources[source_name]
    if source.complete is None:
        return None
    try:
        missing = _ask(pipeline, source, source.complete, partition)
    except UnavailableError as error:
        raise UnavailableError(_of(pipeline, source_name, partition, error)) from None
    except (SourceError, StorageError) as error:
        raise SourceError(_of(pipeline, source_name, partition, error)) from None
    return f"source '{source_name}' is not complete: {missing}" if missing else None


def missing(pipeline: Pipeline, source_name: str, partitions: Sequence[str]) -> Missing | None:
    """Which of the partitions are not complete; None if all are.

    A source that cannot be asked just now is not complete, and is asked for no further partition. Raises
    `SourceError` where asking again is vain.
    """
    found: list[str] = []
    reasons: list[str] = []
    for number, partition in enumerate(partitions):
        try:
            line = incomplete(pipeline, source_name, partition)
        except UnavailableError as error:
            found += partitions[number:]
            reasons.append(str(error))
            break
        if line:
            found.append(partition)
            reasons.append(f"{pipeline.name} {partition}: {line}")
    return Missing(tuple(found), reasons[0] + _others(found[1:])) if found else None


def check_complete(pipeline: Pipeline, partition: str) -> None:
    """Ask all sources once; raises `UnavailableError` if the partition is not complete in one of them."""
    for source_name in pipeline.spec.sources:
        if line := incomplete(pipeline, source_name, partition):
            raise UnavailableError(f"{pipeline.name} {partition}: {line}: run again when it is complete")


def _others(partitions: Sequence[str]) -> str:
    if not partitions:
        return ""
    more = ", ..." if len(partitions) > _SHOWN else ""
    return f" (and {len(partitions)} more: {', '.join(partitions[:_SHOWN])}{more})"


def _of(pipeline: Pipeline, source_name: str, partition: str, error: Exception) -> str:
    return f"{pipeline.name} {partition}: source '{source_name}': {error}"


def _ask(pipeline: Pipeline, source: Source, complete: Complete, partition: str) -> str | None:
    calendar = pipeline.spec.calendar
    bounds = [calendar.start(partition), calendar.end(partition)] if calendar.has_time else []
    if complete.sql is not None:
        return _ask_sql(pipeline, source, complete.sql, bounds)
    if complete.field is not None:
        return _ask_api(pipeline, source, complete, partition, bounds)
    assert complete.file is not None
    return _ask_file(pipeline, complete.file, partition, bounds[0] if bounds else None)


def _ask_sql(pipeline: Pipeline, source: Source, name: str, bounds: list[datetime]) -> str | None:
    assert source.postgres is not None
    query = _sql_file(pipeline.spec.folder, name)
    # PostgreSQL refuses a bound value that the query has no place for.
    bound = bounds[: max((number for number in (1, 2) if f"${number}" in query), default=0)]
    names = [f"${number + 1}" for number in range(len(bound))]
    values = pa.RecordBatch.from_arrays([pa.array([moment], TIME) for moment in bound], names)
    with transaction(pipeline.connect(source.postgres.conn_id), read_only=True, timeout=TIMEOUT) as cursor:
        cursor.execute(query, values if bound else None)
        row = cursor.fetchone()
    if row is None:
        return f"{name} answered no row"
    answer = row[0]
    if answer is not None and not isinstance(answer, bool):
        raise SourceError(f"{name} answered {shown(repr(answer))}, neither true nor false: mend the query")
    return None if answer else f"{name} answered {'null' if answer is None else 'false'}"


def _sql_file(folder: Path, name: str) -> str:
    file = (folder / name).resolve()
    if not file.is_relative_to(folder.resolve()):
        raise SourceError(f"complete.sql '{name}' lies outside the pipeline's folder {folder}: move it there")
    try:
        query = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise SourceError(f"complete.sql: no sql file {file} in UTF-8: create it") from None
    if not query.strip():
        raise SourceError(f"complete.sql: {file} is empty: write the query")
    return query


def _ask_api(
    pipeline: Pipeline, source: Source, complete: Complete, partition: str, bounds: list[datetime]
) -> str | None:
    assert source.http is not None
    assert complete.path is not None
    assert complete.field is not None

    start = bounds[0] if bounds else None

    def filled(texts: dict[str, str]) -> dict[str, str]:
        return {name: fill(text, partition, start) for name, text in texts.items()}

    api = api_of(
        pipeline.connect(source.http.conn_id), {"Accept": "application/json", **filled(source.http.headers)}
    )
    path = fill(complete.path, partition, start)
    address = first_page(Paging(), api.address(path), filled(complete.params))
    deadline = time.monotonic() + TIMEOUT.total_seconds()
    with Session(api, path, deadline, ATTEMPTS, _BACKOFF) as session:
        # What is named after its partition need not be there before it.
        document = session.get(address, ANSWER_BYTES, _document, probe=path != complete.path)
    if document is None:
        return f"{path} is not there"
    found, wanted = at(document[0], complete.field), True if complete.equals is None else complete.equals
    # To Python, 1 is equal to True.
    if found == wanted and isinstance(found, bool) == isinstance(wanted, bool):
        return None
    return f"'{complete.field}' of {path} is {_in_json(found)}, not {_in_json(wanted)}"


def _document(answer: Answer) -> tuple[Any]:
    try:
        return (json.loads(answer.body),)
    except ValueError:
        raise StumbleError("the answer is not a whole JSON document") from None


def _in_json(value: Any) -> str:
    return shown(json.dumps(value))


def _ask_file(pipeline: Pipeline, path: str, partition: str, start: datetime | None) -> str | None:
    files = locate(path, pipeline.spec.folder, pipeline.storage, partition, start)
    if any(file.exists() for file in files):
        return None
    return f"{files[0].name if files else fill(path, partition, start)} does not exist"
