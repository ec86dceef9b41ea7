"""Why a partition is published, refused or partly in quarantine: which expectation its rows broke."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from evergreen.data_docs.index import NOTE, Run, newest
from evergreen.data_docs.store import page_key, runs_of
from evergreen.explain.explanation import Explanation, Ground
from evergreen.stages import INGEST
from evergreen.timings import timing_of
from evergreen.validation.quarantine import read_quarantine
from evergreen.validation.refused import RefusedRows

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline
    from evergreen.validation.quarantine import Quarantined
    from evergreen.validation.refused import RefusedAttempt


def partition_explained(pipeline: Pipeline, partition: str) -> Explanation:
    """Why a partition, by its key, is published or not, and which of its rows are not.

    Raises `PartitionError` for what is no key of the pipeline.
    """
    key, lake = pipeline.spec.calendar.check(partition), pipeline.lake
    rows, published = lake.records([key]).get(key, {}).get("rows"), key in lake.partitions()
    aside = read_quarantine(lake, key)
    attempt = RefusedRows(pipeline.storage, pipeline.name).of(key)
    run = newest(runs_of(pipeline)).get(key)
    timing = timing_of(pipeline, INGEST, key)
    failed = timing.failed if timing else ""
    said = sentence(
        key, published=published, rows=rows, aside=len(aside), run=run, attempt=attempt, failed=failed
    )
    return Explanation(
        "partition",
        key,
        said,
        tuple(_grounds(aside, attempt)),
        tuple(_see(pipeline, key, aside, attempt, run)),
    )


def sentence(
    key: str,
    *,
    published: bool,
    rows: int | None,
    aside: int,
    run: Run | None,
    attempt: RefusedAttempt | None,
    failed: str,
) -> str:
    """What became of the partition, and of the last attempt at it where that was refused or failed."""
    said = f"{key} is not published"
    if published:
        said = f"{key} is published" + ("" if rows is None else f" with {rows:,} rows")
        said += f", and {aside:,} more in quarantine" if aside else ", and none in quarantine"
    if attempt:
        return f"{said}; the last attempt was refused: {_bare(attempt.reason, key)}"
    if run and run.note:
        cut = "..." if len(run.note) == NOTE else ""
        return f"{said}; the last attempt ended with: {_bare(run.note, key)}{cut}"
    if failed:
        return f"{said}; the last ingest failed: {failed}"
    return said if published or run else f"{said}: no ingest has tried it"


def _bare(reason: str, key: str) -> str:
    """The reason without the names of pipeline and partition, and the word, that it may begin with."""
    _, named, rest = reason.partition(f" {key}: ")
    return (rest if named else reason).removeprefix("refused: ")


def _grounds(aside: Iterable[Quarantined], attempt: RefusedAttempt | None) -> Iterator[Ground]:
    """Which expectations the rows break that are in quarantine, or would have been."""
    for word, rows in (("in quarantine", aside), ("refused", attempt.rows if attempt else ())):
        found, reasons = Counter[str](), dict[str, str]()
        for row in rows:
            for label in row.expectations:
                found[label] += 1
                reasons.setdefault(label, row.reason)
        for label, count in found.most_common():
            yield Ground(label, word, f"{count:,} of its rows, such as: {reasons[label]}")


def _see(
    pipeline: Pipeline,
    key: str,
    aside: list[Quarantined],
    attempt: RefusedAttempt | None,
    run: Run | None,
) -> Iterator[str]:
    if aside or attempt:
        yield f"evergreen quarantine show {pipeline.name} --partition {key}"
    if run:
        yield pipeline.storage.uri(page_key(pipeline.name, key, run.run))
