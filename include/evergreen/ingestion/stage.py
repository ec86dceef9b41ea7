"""The stage `ingest`: extract each source, join, conform, validate, publish.

Airflow runs it a function a task, handing over through staging; a shell runs `ingest`, which keeps several
partitions in memory and publishes them together. Either way a partition ends with the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

from evergreen.errors import EvergreenError, NotFoundError, RefusedError, SourceError
from evergreen.ingestion.conform import conform, published_schema
from evergreen.ingestion.extract import extract
from evergreen.ingestion.join import join_sources
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.validation.report import ValidationReport
from evergreen.validation.suite import Suite, load_suite
from evergreen.validation.validate import Validated, validate

TOGETHER = 32  # partitions a commit
READERS = 4  # partitions read at the same time


@dataclass(frozen=True)
class Published:
    """A published partition; `changed` is False if the lake already held just these rows."""

    partition: str
    rows: int
    quarantined: int
    changed: bool
    report: ValidationReport


def stage_source(pipeline: Pipeline, partition: str, run: str, source_name: str) -> int:
    """Read one source's rows of the partition into the run's staging; returns how many there are."""
    pipeline.spec.calendar.check(partition)
    table = extract(pipeline, source_name, partition)
    pipeline.staging(run).write_table(f"source_{source_name}", table)
    return int(table.num_rows)


def stage_validated(pipeline: Pipeline, partition: str, run: str) -> ValidationReport:
    """Join and validate the staged sources, and stage what is valid and what is quarantined.

    Raises `RefusedError` where the partition is refused; nothing published changes.
    """
    staging = pipeline.staging(run)
    sources = {name: staging.read_table(f"source_{name}") for name in pipeline.spec.sources}
    suite = load_suite(pipeline.spec)
    validated = _validated(pipeline, suite, partition, sources, published_schema(pipeline.lake))
    staging.write_table("valid", validated.valid)
    staging.write_table("quarantined", validated.quarantined)
    staging.write_json("validation.json", validated.report.to_dict())
    return validated.report


def publish_staged(pipeline: Pipeline, partition: str, run: str) -> Published:
    """Publish what the run staged, the quarantine first, each in one atomic commit; then clear the staging.

    Killed in between, it leaves the partition as it was; run again, it finishes. Run after it has cleared the
    staging, it finds the partition published and changes nothing (the report is then without results).
    """
    staging = pipeline.staging(run)
    if not staging.exists("validation.json") and (done := _already_published(pipeline, partition)):
        return done
    validated = Validated(
        staging.read_table("valid"),
        staging.read_table("quarantined"),
        ValidationReport.from_dict(staging.read_json("validation.json")),
    )
    published = _publish(pipeline, {partition: validated})
    staging.clear()
    return published[0]


def ingest(
    pipeline: Pipeline, partitions: Sequence[str], progress: Callable[[str], None] = lambda partition: None
) -> list[Published]:
    """Ingest the partitions, many to a commit, and return what was published, in their order.

    `progress` is called with each partition that is done. A partition whose sources or rows are refused
    leaves the others alone; at the end one `RefusedError` names all that were.
    """
    keys = [pipeline.spec.calendar.check(key) for key in partitions]
    suite = load_suite(pipeline.spec)
    published: list[Published] = []
    refused: dict[str, EvergreenError] = {}
    with _reading(pipeline, keys) as groups:
        for reads in groups:
            good, bad = _validate_group(pipeline, suite, reads, progress)
            published += _publish(pipeline, good)
            refused |= bad
    if refused:
        raise _not_published(pipeline, refused, len(keys))
    return published


Sources = dict[str, pa.Table]
Reads = dict[str, Future[Sources]]


@contextmanager
def _reading(pipeline: Pipeline, keys: Sequence[str]) -> Iterator[Iterator[Reads]]:
    """Groups of partitions being read; the next group is read while one is worked on."""
    groups = [keys[at : at + TOGETHER] for at in range(0, len(keys), TOGETHER)]
    pool = ThreadPoolExecutor(READERS)

    def reads() -> Iterator[Reads]:
        ahead: Reads = {}
        for group in groups:
            ready, ahead = ahead, _read_ahead(pool, pipeline, group)
            if ready:
                yield ready
        yield ahead

    try:
        yield reads()
    finally:
        # After an error nobody wants what has not been read yet.
        pool.shutdown(cancel_futures=True)


def _read_ahead(pool: ThreadPoolExecutor, pipeline: Pipeline, group: Sequence[str]) -> Reads:
    def read(partition: str) -> Sources:
        return {name: extract(pipeline, name, partition) for name in pipeline.spec.sources}

    return {partition: pool.submit(read, partition) for partition in group}


def _validate_group(
    pipeline: Pipeline, suite: Suite, reads: Reads, progress: Callable[[str], None]
) -> tuple[dict[str, Validated], dict[str, EvergreenError]]:
    good: dict[str, Validated] = {}
    bad: dict[str, EvergreenError] = {}
    schema = published_schema(pipeline.lake)
    for partition, reading in reads.items():
        try:
            good[partition] = _validated(pipeline, suite, partition, reading.result(), schema)
            schema = schema or good[partition].valid.schema
        except (RefusedError, SourceError) as error:
            bad[partition] = error
        progress(partition)
    return good, bad


def _validated(
    pipeline: Pipeline, suite: Suite, partition: str, sources: Sources, schema: pa.Schema | None
) -> Validated:
    try:
        rows = join_sources(pipeline.spec, sources)
        if rows.num_rows:
            rows = conform(rows, schema)
    except (RefusedError, SourceError) as error:
        raise type(error)(f"{pipeline.name} {partition}: {error}") from None
    return validate(pipeline.spec, suite, partition, rows)


def _publish(pipeline: Pipeline, validated: dict[str, Validated]) -> list[Published]:
    # The quarantine first: a crash in between leaves the old partition, never rows that are in neither.
    changed = set(pipeline.lake.replace(Table.QUARANTINE, {k: v.quarantined for k, v in validated.items()}))
    changed |= set(pipeline.lake.replace(Table.PARTITIONS, {k: v.valid for k, v in validated.items()}))
    return [
        Published(key, v.valid.num_rows, v.quarantined.num_rows, key in changed, v.report)
        for key, v in validated.items()
    ]


def _already_published(pipeline: Pipeline, partition: str) -> Published | None:
    rows, quarantined = (_count(pipeline, table, partition) for table in (Table.PARTITIONS, Table.QUARANTINE))
    if not rows:
        return None
    report = ValidationReport(partition, rows + quarantined, quarantined, ())
    return Published(partition, rows, quarantined, False, report)


def _count(pipeline: Pipeline, table: Table, partition: str) -> int:
    try:
        return int(pipeline.lake.read(table, partition, partition).num_rows)
    except NotFoundError:
        return 0


def _not_published(pipeline: Pipeline, refused: Mapping[str, EvergreenError], asked: int) -> EvergreenError:
    if asked == 1:
        return next(iter(refused.values()))
    reasons = [str(error) for error in refused.values()]
    more = f"; and {len(reasons) - 3} more" if len(reasons) > 3 else ""
    return RefusedError(
        f"{pipeline.name}: {len(refused)} of {asked} partitions were not published ({', '.join(refused)}): "
        f"{'; '.join(reasons[:3])}{more}"
    )
