"""Validation of a long range by the workers of an engine; what may be published is staged for one process.

A partition is validated apart from the others only where nothing of it follows from them: the columns are
published already and may not change, no limit comes from earlier partitions, and no source is read whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from evergreen.compute.choice import Kind, chosen
from evergreen.compute.spread import spread
from evergreen.errors import EvergreenError
from evergreen.ingestion.completeness import check_complete
from evergreen.ingestion.extract import is_cut
from evergreen.ingestion.join import join_sources
from evergreen.ingestion.read_as import ReadAs
from evergreen.ingestion.validated import Outcomes, validated
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.rows.batches import Rows
from evergreen.validation.judge import Judges
from evergreen.validation.suite import load_suite
from evergreen.validation.validate import Validated

PART = 8  # partitions that a worker validates together, whatever the engine
_ROUND = 16  # parts whose outcomes are waited for together


@dataclass(frozen=True)
class _Shared:
    """The pipeline, and the run whose staging the files are passed on through."""

    pipeline: Pipeline
    run: str


def may_spread(pipeline: Pipeline, partitions: Sequence[str]) -> bool:
    """Whether workers are to validate these partitions, each part of them apart from the others."""
    spec = pipeline.spec
    if len(partitions) <= PART or chosen().kind is Kind.LOCAL:
        return False
    if spec.validation.schema_change != "refuse" or any(is_cut(spec, name) for name in spec.sources):
        return False
    if Judges(spec, load_suite(spec)).history_needed:
        return False
    return pipeline.lake.schema(Table.PARTITIONS) is not None


def validated_by_workers(pipeline: Pipeline, partitions: Sequence[str], run: str) -> Outcomes:
    """As `validated`, of rows that are read from the sources; the files are in the run's staging.

    Workers find connections in their own variables.
    """
    parts = [partitions[start : start + PART] for start in range(0, len(partitions), PART)]
    with spread(_part_validated, _Shared(pipeline, run)) as task:
        for start in range(0, len(parts), _ROUND):
            named = lambda part: f"{pipeline.name} {part[0]} to {part[-1]}: ingestion"  # noqa: E731
            for found in task.over(parts[start : start + _ROUND], named=named):
                yield from found


def read_joined(pipeline: Pipeline, types: ReadAs, partition: str) -> Rows:
    """A partition's rows from its sources, joined; raises `UnavailableError` if a source is not complete."""
    check_complete(pipeline, partition)
    sources = {name: types.extract(name, partition) for name in pipeline.spec.sources}
    return join_sources(pipeline.spec, sources)


def _part_validated(shared: _Shared, part: Sequence[str]) -> list[tuple[str, Validated | EvergreenError]]:
    """In a worker: the outcomes of some partitions."""
    return list(_staged(shared, part))


def _staged(shared: _Shared, part: Sequence[str]) -> Iterator[tuple[str, Validated | EvergreenError]]:
    pipeline, types = shared.pipeline, ReadAs(shared.pipeline, part)
    staging = pipeline.staging(shared.run)
    for partition, outcome in validated(pipeline, part, lambda key: read_joined(pipeline, types, key), types):
        if isinstance(outcome, Validated):
            file = staging.write_file(f"{partition}/valid", outcome.file)
            outcome.file.close()
            yield partition, replace(outcome, file=file)
        else:
            yield partition, outcome
