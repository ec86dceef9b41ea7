"""The stage `ingest`: extract each source, join, conform, validate, publish.

Airflow runs one function per task, with rows passed on through staging; a shell runs `ingest`, which streams
rows from the source to the lake. Both publish the same rows, for any number of partitions per call.
"""

from __future__ import annotations

import base64
import secrets
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pyarrow as pa

from evergreen.data_docs.store import write_data_docs
from evergreen.errors import EvergreenError, NotFoundError, NothingToDoError, RefusedError, SourceError
from evergreen.ingestion import completeness
from evergreen.ingestion.changes import changed_before
from evergreen.ingestion.checkpoint import StagedCheckpoint
from evergreen.ingestion.conform import Conformer
from evergreen.ingestion.join import join_sources
from evergreen.ingestion.publish import Published, publish
from evergreen.ingestion.published import PublishedPartitions
from evergreen.ingestion.read_as import ReadAs, each_read, submitted
from evergreen.ingestion.receipts import Receipts
from evergreen.ingestion.same_calendar import check_calendar
from evergreen.pipeline import Pipeline
from evergreen.rows.batches import Rows
from evergreen.rows.blocks import begun
from evergreen.rows.partition_file import PartitionFile
from evergreen.spec import Spec
from evergreen.stages import INGEST
from evergreen.staging import Staging
from evergreen.timings import Timing, timed
from evergreen.validation.corrections import Corrections, corrected, originals
from evergreen.validation.group import Group
from evergreen.validation.judge import Judges
from evergreen.validation.profile import Profile
from evergreen.validation.quarantine import QUARANTINE
from evergreen.validation.report import ValidationReport
from evergreen.validation.suite import load_suite
from evergreen.validation.validate import RefusedPartitionError, Validated

TOGETHER = 32  # partitions validated together and published in one commit
READERS = 4  # partitions read at the same time
AHEAD = 8  # partitions that are read in advance
HEAD = 8_192  # rows of each that are read in advance

Outcomes = Iterator[tuple[str, Validated | EvergreenError]]
Read = Callable[[str], Rows]


def stage_source(pipeline: Pipeline, partitions: Sequence[str], run: str, source_name: str) -> int:
    """Read one source's rows of the partitions into the run's staging; returns how many there are."""
    staging, types = pipeline.staging(run), ReadAs(pipeline, partitions, [source_name])

    def stage(partition: str) -> int:
        checkpoint = StagedCheckpoint(staging, f"{partition}/{source_name}")
        rows = types.extract(source_name, partition, checkpoint)
        return staging.write_rows(_source(partition, source_name), rows)

    keys = [pipeline.spec.calendar.check(key) for key in partitions]
    return sum(each_read(stage, keys, types, READERS))


def stage_validated(
    pipeline: Pipeline, partitions: Sequence[str], run: str, began: datetime
) -> list[ValidationReport]:
    """Join and validate the staged sources, stage what is valid and what is quarantined, write Data Docs.

    `began` is the start of the run, which its pages show. Returns a report for each partition. If several
    partitions are validated, refused ones do not stop the others, and `publish_staged` names them; a single
    refused partition raises `RefusedError`. Nothing published changes.
    """
    staging = pipeline.staging(run)

    def read(partition: str) -> Rows:
        return _joined(pipeline, {n: staging.read_rows(_source(partition, n)) for n in pipeline.spec.sources})

    reports = []
    refusal: EvergreenError | None = None
    for partition, outcome in _validated(pipeline, partitions, read):
        reports.append(_report(partition, outcome))
        if isinstance(outcome, Validated):
            _stage_outcome(staging, partition, outcome, began)
        else:
            refusal = outcome
            staging.write_json(_outcome(partition), {"refused": str(outcome)})
    write_data_docs(pipeline, run, began, reports)
    if refusal and len(partitions) == 1:
        raise refusal
    return reports


def publish_staged(pipeline: Pipeline, partitions: Sequence[str], run: str) -> list[Published]:
    """Publish what the run staged, the quarantine first, each in one atomic commit; then clear the staging.

    If it is killed, every partition has either its old or its new content, and a retry finishes. After the
    staging was cleared, a retry finds the run's receipts and changes nothing (its reports are without
    results). At the end raises one `RefusedError` that names the refused partitions; raises `NotFoundError`
    if another run has published a partition since and cleared what this run had staged.
    """
    with timed(pipeline, INGEST, partitions[-1]) as timing:
        return _published(pipeline, partitions, run, timing)


def _published(pipeline: Pipeline, partitions: Sequence[str], run: str, timing: Timing) -> list[Published]:
    staging, receipts = pipeline.staging(run), Receipts(pipeline.storage, pipeline.name)
    published: list[Published] = []
    refused: dict[str, EvergreenError] = {}
    for group in _groups(partitions):
        good: dict[str, Validated] = {}
        for partition in group:
            try:
                told = staging.read_json(_outcome(partition))
            except NotFoundError:
                if not (done := receipts.of(partition, run)):
                    raise
                published.append(done)
                continue
            if "refused" in told:
                refused[partition] = RefusedError(told["refused"])
            else:
                good[partition] = _staged_outcome(staging, partition, told)
                timing.began = told["began"]
        done_now = publish(pipeline.lake, good)
        receipts.write(run, done_now)
        published += done_now
    # Outcomes are deleted first, so that a retry after a kill never uses an incomplete staging.
    staging.delete(_outcome(partition) for partition in partitions)
    staging.clear()
    # Runs that failed for good leave their staging behind, and nothing else deletes it.
    staging.clear_others([each.partition for each in published])
    if refused:
        raise _not_published(pipeline, refused, len(partitions))
    return published


def ingest(
    pipeline: Pipeline, partitions: Sequence[str], progress: Callable[[str], None] = lambda partition: None
) -> list[Published]:
    """Ingest the partitions, many in one commit, and return what was published, in their order.

    First come the published partitions with rows that have changed since, if a source tells which these are:
    they are ingested again. `progress` is called with each finished partition. A partition whose sources or
    rows are refused does not stop the others; at the end one `RefusedError` names all refused partitions.
    Raises `UnavailableError` if a source is not complete.
    """
    return _ingest(pipeline, [*changed_before(pipeline, partitions), *partitions], progress)


def ingest_changed(pipeline: Pipeline, partitions: Sequence[str], run: str) -> list[Published]:
    """Ingest again what `ingest` of the partitions does before them, and not the partitions themselves.

    What an earlier attempt of the run began to ingest belongs to it, and counts as changed: nobody may have
    heard of it. Raises as `ingest`, and `NothingToDoError` if no published partition has rows that have
    changed.
    """
    receipts = Receipts(pipeline.storage, pipeline.name)
    begun = receipts.changed(partitions[-1], run)
    changed = sorted({*begun, *changed_before(pipeline, partitions)})
    if not changed:
        raise NothingToDoError(
            f"{pipeline.name} {partitions[-1]}: no rows of published partitions have changed"
        )
    receipts.write_changed(partitions[-1], run, changed)
    found = _ingest(pipeline, changed)
    return [replace(one, changed=one.changed or one.partition in begun) for one in found]


def _ingest(
    pipeline: Pipeline, partitions: Sequence[str], progress: Callable[[str], None] = lambda partition: None
) -> list[Published]:
    types = ReadAs(pipeline, partitions)

    def read(partition: str) -> Rows:
        completeness.check_complete(pipeline, partition)
        sources = {n: types.extract(n, partition) for n in pipeline.spec.sources}
        return _joined(pipeline, sources)

    return publish_rows(pipeline, partitions, read, progress, types)


def publish_rows(
    pipeline: Pipeline,
    partitions: Sequence[str],
    read: Read,
    progress: Callable[[str], None] = lambda partition: None,
    types: ReadAs | None = None,
) -> list[Published]:
    """Validate and publish the rows that `read` returns for each partition; otherwise as `ingest`."""
    if not partitions:
        return []
    with timed(pipeline, INGEST, partitions[-1]):
        return _rows_published(pipeline, partitions, read, progress, types)


def _rows_published(
    pipeline: Pipeline,
    partitions: Sequence[str],
    read: Read,
    progress: Callable[[str], None],
    types: ReadAs | None,
) -> list[Published]:
    began = datetime.now(UTC)
    reports: list[ValidationReport] = []
    published: list[Published] = []
    refused: dict[str, EvergreenError] = {}
    good: dict[str, Validated] = {}
    for partition, outcome in _validated(pipeline, partitions, read, types):
        reports.append(_report(partition, outcome))
        if isinstance(outcome, Validated):
            good[partition] = outcome
        else:
            refused[partition] = outcome
        progress(partition)
        if len(good) == TOGETHER:
            published += publish(pipeline.lake, good)
            good = {}
    with ThreadPoolExecutor(1) as pool:  # both run at the same time
        pages = pool.submit(write_data_docs, pipeline, secrets.token_hex(8), began, reports)
        published += publish(pipeline.lake, good)
        pages.result()
    if refused:
        raise _not_published(pipeline, refused, len(partitions))
    return published


def _report(partition: str, outcome: Validated | EvergreenError) -> ValidationReport:
    if isinstance(outcome, Validated | RefusedPartitionError):
        return outcome.report
    return ValidationReport(partition, 0, 0, (), refused=str(outcome))


def _joined(pipeline: Pipeline, sources: Mapping[str, Rows]) -> Rows:
    return join_sources(pipeline.spec, sources)


def _validated(
    pipeline: Pipeline, partitions: Sequence[str], read: Read, types: ReadAs | None = None
) -> Outcomes:
    """Each partition's outcome, in order; later partitions are read while earlier ones are validated."""
    spec = pipeline.spec
    check_calendar(pipeline)
    keys = [spec.calendar.check(key) for key in partitions]
    judges = Judges(spec, load_suite(spec))
    published = PublishedPartitions(pipeline.lake, judges.history_needed)
    corrections = Corrections(pipeline.storage, pipeline.name)
    group = Group(spec, judges)
    with closing(_reading(keys, read, types)) as reading:
        for partition, future in reading:
            try:
                rows, changes = _conformed(spec, future.result(), published)
                rows = corrected(rows, corrections.of(partition))
            except (RefusedError, SourceError) as error:
                group.fail(partition, error)
                continue
            # Partitions with the same schema are validated together; one with another schema is validated
            # alone.
            alone = rows.schema != published.schema
            if alone or len(group) >= TOGETHER:
                yield from _finished(group, published, corrections)
                group = Group(spec, judges)
            group.add(partition, rows, changes)
            if alone:
                yield from _finished(group, published, corrections)
                group = Group(spec, judges)
        yield from _finished(group, published, corrections)


def _finished(group: Group, published: PublishedPartitions, corrections: Corrections) -> Outcomes:
    for partition, outcome in group.finish(published.before):
        if not isinstance(outcome, Validated):
            yield partition, outcome
            continue
        published.accept(partition, outcome.schema, outcome.profile)
        kept = originals(outcome.quarantined, outcome.schema, corrections.of(partition))
        yield partition, replace(outcome, quarantined=kept)


def _conformed(spec: Spec, rows: Rows, published: PublishedPartitions) -> tuple[Rows, tuple[str, ...]]:
    if not rows.schema.names:  # a source without rows may have no columns
        return Rows(published.schema or rows.schema, rows.batches, rows.rejected), ()
    conformer = Conformer(published.schema, rows.schema, spec.validation.schema_change)
    published.check_exact(conformer.widened)
    if isinstance(rows.batches, list):
        conformed = [conformer.batch(batch) for batch in rows.batches]
        return Rows(conformer.schema, conformed, rows.rejected), conformer.changes

    def batches() -> Iterator[pa.RecordBatch]:
        with closing(rows):
            for batch in rows:
                yield conformer.batch(batch)

    return Rows(conformer.schema, batches(), rows.rejected), conformer.changes


def _reading(
    keys: Sequence[str], read: Read, types: ReadAs | None
) -> Generator[tuple[str, Future[Rows]], None, None]:
    """Each partition with its rows; the first rows are read while earlier partitions are processed."""
    waiting = deque[tuple[str, Future[Rows]]]()
    pool = ThreadPoolExecutor(READERS)
    try:
        for key in keys:
            waiting.append((key, submitted(pool, partial(_begun, read), key, types)))
            if len(waiting) == AHEAD:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        # After an error the partitions that are not read yet are not needed.
        pool.shutdown(cancel_futures=True)
        for _, future in waiting:
            if not future.cancelled() and future.exception() is None:
                future.result().close()


def _begun(read: Read, partition: str) -> Rows:
    return begun(read(partition), HEAD)


def _source(partition: str, source_name: str) -> str:
    return f"{partition}/source_{source_name}"


def _outcome(partition: str) -> str:
    """The object that describes a partition's outcome; written last, and read first."""
    return f"{partition}/outcome.json"


def _stage_outcome(staging: Staging, partition: str, outcome: Validated, began: datetime) -> None:
    file = staging.write_file(f"{partition}/valid", outcome.file)
    outcome.file.close()
    if outcome.quarantined.num_rows:
        staging.write_table(f"{partition}/quarantined", outcome.quarantined)
    schema = base64.b64encode(outcome.schema.serialize()).decode()
    told = {"file": file.to_dict(), "schema": schema, "report": outcome.report.to_dict()}
    told["began"] = began.isoformat()
    staging.write_json(_outcome(partition), told)


def _staged_outcome(staging: Staging, partition: str, told: Mapping[str, Any]) -> Validated:
    file = PartitionFile.from_dict(told["file"], staging.key(f"{partition}/valid"))
    schema = pa.ipc.read_schema(pa.BufferReader(base64.b64decode(told["schema"])))
    report = ValidationReport.from_dict(told["report"])
    quarantined = QUARANTINE.empty_table()
    if report.quarantined:
        quarantined = staging.read_table(f"{partition}/quarantined")
    return Validated(file, schema, quarantined, report, Profile(0, {}))


def _groups(partitions: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(partitions), TOGETHER):
        yield partitions[at : at + TOGETHER]


def _not_published(pipeline: Pipeline, refused: Mapping[str, EvergreenError], asked: int) -> EvergreenError:
    if asked == 1:
        return next(iter(refused.values()))
    reasons = [str(error) for error in refused.values()]
    more = f"; and {len(reasons) - 3} more" if len(reasons) > 3 else ""
    return RefusedError(
        f"{pipeline.name}: {len(refused)} of {asked} partitions were not published ({', '.join(refused)}): "
        f"{'; '.join(reasons[:3])}{more}"
    )
