"""Processes that replay policies over the same rows and share results through a cache."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.queues import Queue
from pathlib import Path
from queue import Empty
from types import TracebackType
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from evergreen.backtest.ahead import foreseen
from evergreen.backtest.cache import Cache
from evergreen.backtest.history import History
from evergreen.backtest.policies import Policy
from evergreen.backtest.replay import Progress, replay, silent
from evergreen.backtest.result import PolicyResult
from evergreen.backtest.work import Work
from evergreen.errors import EvergreenError, NothingToDoError
from evergreen.spec import Spec

WORKERS = 2
TRAININGS = "trainings"
"""What the progress of trainings that are done beforehand goes by."""


class Workers:
    """Up to `count` processes with the same rows (with `partition`), or this one alone; a context manager.

    `folder` is the folder of the cache. Without one it is in memory, for a single process only.
    """

    def __init__(
        self,
        spec: Spec,
        rows: pd.DataFrame,
        *,
        pretrained: Mapping[int, Any] = {},
        folder: Path | None = None,
        count: int = WORKERS,
    ) -> None:
        self._spec = spec
        self._history = History(spec, rows)
        self._pool: ProcessPoolExecutor | None = None
        self._work: Work | None = None
        self._cache = Cache(folder)
        if count > 1 and folder is not None:
            # Forked from a server, not from this process, whose threads of Arrow and OpenMP a fork would
            # inherit in a broken state. The server imports this module once for all of them.
            context = get_context("forkserver")
            context.set_forkserver_preload([__name__])
            self._steps: Queue[tuple[str, int]] = context.Queue()
            arguments = (spec, rows, pretrained, folder, self._steps)
            self._pool = ProcessPoolExecutor(count, context, _prepare, arguments)
        else:
            self._work = Work(spec, self._history, self._cache, pretrained)

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        self._cache.close()

    def replay(
        self,
        policies: Sequence[Policy],
        first: str,
        last: str,
        *,
        progress: Progress = silent,
        known: Sequence[str] | None = None,
    ) -> list[PolicyResult]:
        """Replay the policies as `evergreen.backtest.replay.replay` does; results in the order asked.

        With several processes the trainings of fixed schedules are distributed over all of them, even those
        of a single schedule; their progress has the name `TRAININGS`.
        """
        if self._pool is None:
            with _one_thread():
                return [self._replay(policy, first, last, progress, known) for policy in policies]
        # First the work that cannot be shared, then the work that can, then what has little left to do.
        alone = [policy for policy in policies if not policy.fixed]
        fixed = [policy for policy in policies if policy.fixed]
        pool, running = self._pool, dict[str, Future[PolicyResult]]()
        with _explained(self._spec):
            for policy in alone:
                running[policy.name] = pool.submit(_replay, policy, first, last, known)
            ahead = [pool.submit(_train, as_of) for as_of in self.foreseen(fixed, first, last)]
            for policy in fixed:
                running[policy.name] = pool.submit(_replay, policy, first, last, known)
            _report(self._steps, [*ahead, *running.values()], progress)
            return [running[policy.name].result() for policy in policies]

    def nights(self, first: str, last: str) -> list[str]:
        """The keys of the published partitions from `first` to `last`."""
        return list(self._history.published(first, self._spec.calendar.shift(last, 1)))

    def foreseen(self, policies: Sequence[Policy], first: str, last: str) -> list[str]:
        """The as-of keys that are trained in advance: those of fixed schedules, with several processes."""
        if self._pool is None:
            return []
        keys = foreseen(self._spec, self._history, policies, first, last)
        # The other replays start with the first training, so it is not done in advance.
        return [*keys[1:], *keys[:1]]

    def _replay(
        self, policy: Policy, first: str, last: str, progress: Progress, known: Sequence[str] | None
    ) -> PolicyResult:
        return replay(
            self._spec, self._history, policy, first, last, progress=progress, work=self._work, known=known
        )


_worker: dict[str, Any] = {}


def _prepare(
    spec: Spec, rows: pd.DataFrame, pretrained: Mapping[int, Any], folder: Path, steps: Queue[tuple[str, int]]
) -> None:
    history = History(spec, rows)
    work = Work(spec, history, Cache(folder), pretrained)
    _worker.update(spec=spec, history=history, work=work, steps=steps, limits=_one_thread())


def _one_thread() -> threadpool_limits:
    # A partition is small: threads of OpenMP would wait for one another longer than they work.
    return threadpool_limits(1)


def _replay(policy: Policy, first: str, last: str, known: Sequence[str] | None) -> PolicyResult:
    spec, history, work = (_worker[name] for name in ("spec", "history", "work"))
    return replay(spec, history, policy, first, last, progress=_step, work=work, known=known)


def _train(as_of: str) -> None:
    # If there is too little to train on, the replay that asks for it handles that.
    with suppress(NothingToDoError):
        _worker["work"].trained(as_of)
    _step(TRAININGS, 1)


def _step(name: str, steps: int) -> None:
    _worker["steps"].put((name, steps))


def _report(steps: Queue[tuple[str, int]], running: Sequence[Future[Any]], progress: Progress) -> None:
    """Pass the workers' steps on until all are done; raise the error of the first that fails."""
    while True:
        finished = all(future.done() for future in running)
        try:
            progress(*steps.get(timeout=0.2))
        except Empty:
            if finished:
                return
        for future in running:
            if future.done() and (error := future.exception()):
                for other in running:
                    other.cancel()
                raise error


@contextmanager
def _explained(spec: Spec) -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool:
        raise EvergreenError(
            f"{spec.name}: a process of the backtest was killed from outside (out of memory?): run it again, "
            "with fewer policies at once; what was trained is kept"
        ) from None


def cores() -> int:
    """How many processes this machine has cores for, `WORKERS` at most."""
    return min(WORKERS, os.cpu_count() or 1)
