"""Running a backtest: read the rows once, replay each policy in a process of its own, gather the results."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.queues import Queue
from queue import Empty
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from evergreen.backtest.history import History
from evergreen.backtest.policies import Policy, parse_policy
from evergreen.backtest.replay import PolicyResult, Progress, replay
from evergreen.errors import EvergreenError, NotFoundError, NothingToDoError, RefusedError, SourceError
from evergreen.features.lookups import with_lookups
from evergreen.lake import PARTITION, Table
from evergreen.pipeline import Pipeline
from evergreen.rows.frame import to_frame
from evergreen.spec import Spec
from evergreen.training.pretrained import load_pretrained

POLICIES = ("configured", "never", "every 7")
WORKERS = 2

_log = logging.getLogger(__name__)


def _silent(policy: str, partitions: int) -> None:
    pass


def backtest(
    pipeline: Pipeline,
    first: str,
    last: str,
    policies: Sequence[str] = POLICIES,
    *,
    progress: Progress = _silent,
    workers: int = WORKERS,
) -> list[PolicyResult]:
    """Replay the published partitions from `first` to `last` under each policy, and return what each came to.

    Reads the lake once and writes nothing. `progress` is called with a policy's name and how many more of its
    partitions are done. Raises `NotFoundError` if nothing is published there, `NothingToDoError` for a
    snapshot, `SpecError` for an unknown policy.
    """
    spec = pipeline.spec
    chosen = [parse_policy(name) for name in policies]
    if not spec.calendar.has_time:
        raise NothingToDoError(f"{spec.name}: a snapshot has no time, so there is no history to replay")
    spec.calendar.check(first), spec.calendar.check(last)
    rows = _read(pipeline, first, last)
    pretrained = load_pretrained(pipeline)
    return run_policies(
        spec, rows, chosen, first, last, progress=progress, workers=workers, pretrained=pretrained
    )


def run_policies(
    spec: Spec,
    rows: pd.DataFrame,
    policies: Sequence[Policy],
    first: str,
    last: str,
    *,
    progress: Progress = _silent,
    workers: int = WORKERS,
    pretrained: Mapping[int, Any] = {},
) -> list[PolicyResult]:
    """Replay each policy over the rows (with `partition`), in up to `workers` processes; results as asked."""
    workers = min(workers, len(policies), os.cpu_count() or 1)
    if workers <= 1:
        history = History(spec, rows)
        with _one_thread():
            return [
                replay(spec, history, policy, first, last, progress=progress, pretrained=pretrained)
                for policy in policies
            ]
    # Spawned, not forked: a fork would inherit the threads of Arrow and OpenMP half-alive.
    context = get_context("spawn")
    steps: Queue[tuple[str, int]] = context.Queue()
    with ProcessPoolExecutor(workers, context, _prepare, (spec, rows, pretrained, steps)) as pool:
        running: dict[str, Future[PolicyResult]] = {
            policy.name: pool.submit(_replay, policy, first, last)
            for policy in sorted(policies, key=_most_work_first)
        }
        with _explained(spec):
            _report(steps, running.values(), progress)
            return [running[policy.name].result() for policy in policies]


def ensure_published(
    pipeline: Pipeline, first: str, last: str, progress: Callable[[str], None] = lambda partition: None
) -> list[str]:
    """Ingest what is not published yet between the pipeline's start and `last`; returns the keys ingested.

    History before `first` is needed too, to train on. `progress` is called with each partition that is done.
    One that is refused or has no good source is left out, with a warning: nights do without it too.
    """
    calendar = pipeline.spec.calendar
    there = set(pipeline.lake.partitions())
    start = min(pipeline.spec.first_partition, calendar.check(first))
    missing = [key for key in calendar.between(start, last) if key not in there]
    if not missing:
        return []
    from evergreen.ingestion.stage import ingest

    try:
        ingest(pipeline, missing, progress)
    except (RefusedError, SourceError) as error:
        _log.warning("%s", error)
    there = set(pipeline.lake.partitions())
    return [key for key in missing if key in there]


def _read(pipeline: Pipeline, first: str, last: str) -> pd.DataFrame:
    rows: pd.DataFrame = to_frame(with_lookups(pipeline, pipeline.lake.read(Table.PARTITIONS, None, last)))
    if not (rows[PARTITION] >= first).any():
        raise NotFoundError(
            f"{pipeline.name}: no partition is published from {first} to {last}: run evergreen ingest "
            f"{pipeline.name} --partition {pipeline.spec.first_partition} --to {last}"
        )
    return rows


def _most_work_first(policy: Policy) -> tuple[int, int]:
    # A short fixed schedule trains most, `never` once: begun in this order the workers end at about one time.
    if policy.configured:
        return (1, 0)
    return (0, policy.every) if policy.every is not None else (2, 0)


_worker: dict[str, Any] = {}


def _prepare(
    spec: Spec, rows: pd.DataFrame, pretrained: Mapping[int, Any], steps: Queue[tuple[str, int]]
) -> None:
    history = History(spec, rows)
    _worker.update(spec=spec, history=history, pretrained=pretrained, steps=steps, limits=_one_thread())


def _one_thread() -> threadpool_limits:
    # A partition is small: threads of OpenMP would wait for one another longer than they work.
    return threadpool_limits(1)


def _replay(policy: Policy, first: str, last: str) -> PolicyResult:
    def progress(name: str, partitions: int) -> None:
        _worker["steps"].put((name, partitions))

    spec, history, pretrained = (_worker[name] for name in ("spec", "history", "pretrained"))
    return replay(spec, history, policy, first, last, progress=progress, pretrained=pretrained)


def _report(steps: Queue[tuple[str, int]], running: Any, progress: Progress) -> None:
    """Pass the workers' steps on until all are done or one has failed."""
    while True:
        finished = all(future.done() for future in running)
        failed = any(future.done() and future.exception() for future in running)
        try:
            progress(*steps.get(timeout=0.2))
        except Empty:
            if finished:
                return
        if failed:
            for future in running:
                future.cancel()
            return


@contextmanager
def _explained(spec: Spec) -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool:
        raise EvergreenError(
            f"{spec.name}: a process of the backtest was ended from outside (out of memory?): run it again, "
            "with fewer policies at once"
        ) from None
