"""An ingest run as the tasks of a DAG or as one shell command, cut into the steps that can be tried again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Literal

from evergreen.errors import NothingToDoError
from evergreen.ingestion.stage import ingest, ingest_changed, publish_staged, stage_source, stage_validated
from evergreen.pipeline import Pipeline
from tests.faults.s3_proxy import Call

NIGHT = datetime(2024, 1, 1, 2, tzinfo=UTC)
Path = Literal["task", "shell"]
PATHS: tuple[Path, Path] = ("task", "shell")
Step = tuple[str, Callable[[], object]]


def steps(pipeline: Pipeline, partitions: Sequence[str], run: str, path: Path) -> list[Step]:
    """The steps of a run, by name: a task each, or the one command."""
    if path == "shell":
        return [("ingest", lambda: ingest(pipeline, partitions))]
    return [
        *(_stage(pipeline, partitions, run, name) for name in pipeline.spec.sources),
        ("validate", lambda: stage_validated(pipeline, partitions, run, NIGHT)),
        ("publish", lambda: publish_staged(pipeline, partitions, run)),
        *_changed(pipeline, partitions, run),
    ]


def _stage(pipeline: Pipeline, partitions: Sequence[str], run: str, source: str) -> Step:
    return f"stage {source}", lambda: stage_source(pipeline, partitions, run, source)


def _changed(pipeline: Pipeline, partitions: Sequence[str], run: str) -> list[Step]:
    def step() -> None:
        with suppress(NothingToDoError):
            ingest_changed(pipeline, partitions, run)

    there = any(source.config.changes for source in pipeline.spec.sources.values())
    return [("publish changed", step)] if there else []


def run_ingest(
    pipeline: Pipeline,
    partitions: Sequence[str],
    run: str,
    path: Path = "task",
    done: int = 0,
    finished: Callable[[str], None] = lambda step: None,
) -> None:
    """Ingest the partitions. `done` steps were done by an earlier attempt of the same run and are left out.

    `finished` is called with the name of each step that ends well.
    """
    for name, step in steps(pipeline, partitions, run, path)[done:]:
        step()
        finished(name)


def phase_of(call: Call) -> str:
    """What a run is at, told by a call that it makes to the S3 server."""
    if call.method == "DELETE" or "delete" in call.query:
        return "clearing"
    if "/staging/" in call.key:
        return "staging" if call.method in ("PUT", "POST") else "reading staging"
    if call.is_commit:
        return "commit"
    if call.method in ("PUT", "POST") and "/lake/" in call.key:
        return "upload"
    return "looking at the lake"
