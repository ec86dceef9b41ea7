"""The stage `ingest`: extract each source, join, conform, validate, publish.

Airflow runs one function per task, with rows passed on through staging; a shell runs `ingest`, which streams
rows from the source to the lake. Both publish the same rows, for any number of partitions per call.
"""

from __future__ import annotations

import base64
import logging
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pyarrow as pa

from evergreen.data_docs.store import page_key, write_data_docs
from evergreen.errors import EvergreenError, NotFoundError, NothingToDoError, RefusedError
from evergreen.ingestion.by_workers import may_spread, read_joined, validated_by_workers
from evergreen.ingestion.changes import changed_before
from evergreen.ingestion.checkpoint import StagedCheckpoint
from evergreen.ingestion.join import join_sources
from evergreen.ingestion.outcomes import Ingested, not_published, outcome_of, outcome_without, report_of
from evergreen.ingestion.publish import Published, publish
from evergreen.ingestion.read_as import ReadAs, each_read
from evergreen.ingestion.receipts import Receipts
from evergreen.ingestion.validated import READERS, TOGETHER, Outcomes, Read, validated
from evergreen.look_back.keep import keep_look_back_or_warn
from evergreen.pipeline import Pipeline
from evergreen.rows.batches import Rows
from evergreen.rows.partition_file import PartitionFile
from evergreen.stages import INGEST
from evergreen.staging import Staging
from evergreen.timings import Timing, failure, timed
from evergreen.validation.profile import Profile
from evergreen.validation.quarantine import QUARANTINE
from evergreen.validation.refused import RefusedRows
from evergreen.validation.report import ValidationReport
from evergreen.validation.suite import without_suite
from evergreen.validation.validate import Validated

_log = logging.getLogger(__name__)


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
    if said := without_suite(pipeline.spec):
        _log.info("%s", said)

    def read(partition: str) -> Rows:
        return _joined(pipeline, {n: staging.read_rows(_source(partition, n)) for n in pipeline.spec.sources})

    reports = []
    refusal: EvergreenError | None = None
    for partition, outcome in validated(pipeline, partitions, read):
        reports.append(_report(partition, outcome))
        if isinstance(outcome, Validated):
            _stage_outcome(staging, partition, outcome, began)
        else:
            refusal = outcome
            RefusedRows(pipeline.storage, pipeline.name).keep({partition: outcome})
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
    keep_look_back_or_warn(pipeline)
    # Outcomes are deleted first, so that a retry after a kill never uses an incomplete staging.
    staging.delete(_outcome(partition) for partition in partitions)
    staging.clear()
    # Runs that failed for good leave their staging behind, and nothing else deletes it.
    staging.clear_others([each.partition for each in published])
    RefusedRows(pipeline.storage, pipeline.name).clear(each.partition for each in published)
    if refused:
        raise not_published(pipeline.name, refused, len(partitions))
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
    return ingest_all(pipeline, partitions, progress).or_raise()


def ingest_all(
    pipeline: Pipeline, partitions: Sequence[str], progress: Callable[[str], None] = lambda partition: None
) -> Ingested:
    """The same, but with the outcome of every partition, where `ingest` raises an error for those refused."""
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
    found = _ingest(pipeline, changed).or_raise()
    return [replace(one, changed=one.changed or one.partition in begun) for one in found]


def _ingest(
    pipeline: Pipeline, partitions: Sequence[str], progress: Callable[[str], None] = lambda partition: None
) -> Ingested:
    if may_spread(pipeline, partitions):
        run = secrets.token_hex(8)
        try:
            return _timed(pipeline, partitions, validated_by_workers(pipeline, partitions, run), progress)
        finally:
            pipeline.staging(run).clear()
    types = ReadAs(pipeline, partitions)
    read = partial(read_joined, pipeline, types)
    return _timed(pipeline, partitions, validated(pipeline, partitions, read, types), progress)


def publish_rows(pipeline: Pipeline, partitions: Sequence[str], read: Read) -> list[Published]:
    """Validate and publish the rows that `read` returns for each partition; otherwise as `ingest`."""
    outcomes = validated(pipeline, partitions, read)
    return _timed(pipeline, partitions, outcomes, lambda partition: None).or_raise()


def _timed(
    pipeline: Pipeline,
    partitions: Sequence[str],
    outcomes: Outcomes,
    progress: Callable[[str], None],
) -> Ingested:
    if not partitions:
        return Ingested((), [])
    with timed(pipeline, INGEST, partitions[-1]) as timing:
        ingested = _rows_published(pipeline, partitions, outcomes, progress)
        timing.failed = failure(ingested.error)
    return ingested


def _rows_published(
    pipeline: Pipeline,
    partitions: Sequence[str],
    outcomes: Outcomes,
    progress: Callable[[str], None],
) -> Ingested:
    began = datetime.now(UTC)
    reports: list[ValidationReport] = []
    published: list[Published] = []
    refused: dict[str, EvergreenError] = {}
    good: dict[str, Validated] = {}
    for partition, outcome in outcomes:
        reports.append(_report(partition, outcome))
        if isinstance(outcome, Validated):
            good[partition] = outcome
        else:
            refused[partition] = outcome
        progress(partition)
        if len(good) == TOGETHER:
            published += publish(pipeline.lake, good)
            good = {}
    run, rows = secrets.token_hex(8), RefusedRows(pipeline.storage, pipeline.name)
    with ThreadPoolExecutor(1) as pool:  # both run at the same time
        pages = pool.submit(write_data_docs, pipeline, run, began, reports)
        published += publish(pipeline.lake, good)
        pages.result()
    keep_look_back_or_warn(pipeline)
    rows.keep(refused)
    rows.clear(each.partition for each in published)
    return _ingested(pipeline, partitions, published, refused, run)


def _ingested(
    pipeline: Pipeline,
    partitions: Sequence[str],
    published: Sequence[Published],
    refused: Mapping[str, EvergreenError],
    run: str,
) -> Ingested:
    """The outcomes in the order in which the partitions were asked for, as they were not always done."""
    order = {partition: at for at, partition in enumerate(partitions)}

    def page(partition: str) -> str:
        return pipeline.storage.uri(page_key(pipeline.name, partition, run))

    outcomes = [outcome_of(each, page(each.partition)) for each in published]
    outcomes += [outcome_without(pipeline.name, key, error, page(key)) for key, error in refused.items()]
    inorder = {key: refused[key] for key in partitions if key in refused}
    return Ingested(
        tuple(sorted(outcomes, key=lambda one: order[one.partition])),
        sorted(published, key=lambda one: order[one.partition]),
        not_published(pipeline.name, inorder, len(partitions)) if refused else None,
    )


def _report(partition: str, outcome: Validated | EvergreenError) -> ValidationReport:
    return outcome.report if isinstance(outcome, Validated) else report_of(partition, outcome)


def _joined(pipeline: Pipeline, sources: Mapping[str, Rows]) -> Rows:
    return join_sources(pipeline.spec, sources)


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
