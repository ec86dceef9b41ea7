"""Running a backtest: read the rows once, replay each policy, gather the results."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from evergreen.backtest.cache import cache_folder
from evergreen.backtest.kept import enter
from evergreen.backtest.policies import Policy, parse_policy
from evergreen.backtest.replay import Progress, silent
from evergreen.backtest.result import PolicyResult
from evergreen.backtest.work import OF_TRAININGS
from evergreen.backtest.workers import WORKERS, Workers, engine, shared_by
from evergreen.candidates.pretrained import load_pretrained
from evergreen.compute.choice import Choice, Kind
from evergreen.environment import home
from evergreen.errors import NotFoundError, NothingToDoError, RefusedError, SourceError
from evergreen.features.lookups import with_lookups
from evergreen.features.published import published_rows
from evergreen.labels.join import with_labels
from evergreen.lake import PARTITION
from evergreen.pipeline import Pipeline
from evergreen.rows.frame import to_frame
from evergreen.spec import Spec
from evergreen.storage import Storage
from evergreen.training_set.digest import code_digest, training_digest

POLICIES = ("configured", "never", "every 7")

_log = logging.getLogger(__name__)


def kept() -> Path:
    """The folder of the cache in which backtests and drills keep trained models."""
    return home() / "backtest" / "kept"


def backtest(
    pipeline: Pipeline,
    first: str,
    last: str,
    policies: Sequence[Policy | str] = POLICIES,
    *,
    progress: Progress = silent,
    workers: int = WORKERS,
    known: Sequence[str] | None = None,
    fresh: bool = False,
) -> list[PolicyResult]:
    """Replay the published partitions from `first` to `last` under each policy, and return the results.

    Reads the lake once and writes nothing to it. Trained models are kept below `EVERGREEN_HOME/backtest` and
    in the storage, so an interrupted run resumes with the same results, on any host; `fresh` clears them.
    `progress` is called with a policy's name and how many more of its partitions are done. `known` are the
    days on which the data is known to change. Raises `NotFoundError` if nothing is published there,
    `NothingToDoError` for a snapshot, `SpecError` for an unknown policy.
    """
    chosen = [parse_policy(policy) if isinstance(policy, str) else policy for policy in policies]
    with opened(pipeline, first, last, workers=workers, fresh=fresh) as started:
        return started.replay(chosen, first, last, progress=progress, known=known)


@contextmanager
def opened(
    pipeline: Pipeline, first: str, last: str, *, workers: int = WORKERS, fresh: bool = False
) -> Iterator[Workers]:
    """Workers with the pipeline's rows up to `last` and the cache of earlier runs; raises as `backtest`."""
    spec = pipeline.spec
    if not spec.calendar.has_time:
        raise NothingToDoError(f"{spec.name}: a snapshot has no time, so there is no history to replay")
    spec.calendar.check(first), spec.calendar.check(last)
    rows = read_rows(pipeline, first, last)
    with replaying(
        spec,
        rows,
        workers=workers,
        pretrained=load_pretrained(pipeline),
        root=kept(),
        storage=pipeline.storage,
        fresh=fresh,
    ) as started:
        yield started


@contextmanager
def replaying(
    spec: Spec,
    rows: pd.DataFrame,
    *,
    workers: int = WORKERS,
    pretrained: Mapping[int, Any] = {},
    root: Path | None = None,
    storage: Storage | None = None,
    fresh: bool = False,
) -> Iterator[Workers]:
    """Workers with rows (with `partition`): those of `EVERGREEN_COMPUTE`, or `workers` processes at most.

    What they have trained is shared, and kept for later runs: below the folder `root`, in the `storage`.
    """
    choice = engine(workers)
    store = enter(storage, spec.name, kept_as(spec), fresh=fresh) if storage else None
    # Workers of other hosts have nothing of this one's disk.
    disk = nullcontext() if choice.elsewhere else _kept(root, spec, choice, fresh)
    with disk as folder, Workers(shared_by(spec, rows, pretrained, folder, store), choice) as started:
        yield started


def run_policies(
    spec: Spec,
    rows: pd.DataFrame,
    policies: Sequence[Policy],
    first: str,
    last: str,
    *,
    progress: Progress = silent,
    workers: int = WORKERS,
    pretrained: Mapping[int, Any] = {},
    known: Sequence[str] | None = None,
    root: Path | None = None,
    storage: Storage | None = None,
    fresh: bool = False,
) -> list[PolicyResult]:
    """Replay each policy over the rows (with `partition`) by the workers of `replaying`; results in order."""
    with replaying(
        spec, rows, workers=workers, pretrained=pretrained, root=root, storage=storage, fresh=fresh
    ) as started:
        return started.replay(policies, first, last, progress=progress, known=known)


def kept_as(spec: Spec) -> str:
    """The name of the cache folder: of the description and the code that bear on a training.

    What bears on verdicts and measurements alone is part of the names of those entries (see `work`).
    """
    parts = {"spec": training_digest(spec), "code": code_digest(spec, OF_TRAININGS)}
    return f"{spec.name}-{hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]}"


def ensure_published(
    pipeline: Pipeline, first: str, last: str, progress: Callable[[str], None] = lambda partition: None
) -> list[str]:
    """Ingest what is not published yet between the pipeline's start and `last`; returns the keys ingested.

    History before `first` is needed for training. `progress` is called with each partition that is done. A
    partition that is refused or has no good source is skipped with a warning, as in production.
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


def read_rows(pipeline: Pipeline, first: str, last: str) -> pd.DataFrame:
    """The published rows up to `last` with `partition`, their lookups, and all labels published so far.

    Raises `NotFoundError` if nothing is published from `first` on.
    """
    published = with_lookups(pipeline, published_rows(pipeline, None, last))
    rows: pd.DataFrame = to_frame(with_labels(pipeline, published, None))
    if not (rows[PARTITION] >= first).any():
        raise NotFoundError(
            f"{pipeline.name}: no partition is published from {first} to {last}: run evergreen ingest "
            f"{pipeline.name} --partition {pipeline.spec.first_partition} --to {last}"
        )
    return rows


@contextmanager
def _kept(root: Path | None, spec: Spec, choice: Choice, fresh: bool) -> Iterator[Path | None]:
    if root is not None:
        with cache_folder(root, kept_as(spec), fresh=fresh) as folder:
            yield folder
    elif choice.kind is Kind.PROCESSES:
        with TemporaryDirectory(prefix="evergreen-backtest-") as folder_name:
            yield Path(folder_name)
    else:
        yield None
