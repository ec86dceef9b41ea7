"""The partition of a run that names none; the same again whenever the run is cleared.

The newest partition changes from night to night. So the first answer is stored as an object of the run, which
only the first task creates; all tasks and retries of the run read it from there.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from evergreen.errors import ConflictError, NothingToDoError
from evergreen.readable import readable
from evergreen.stages import INGEST, MONITOR, NIGHTLY, SCORE, WATCH

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline
    from evergreen.stages import Stage

NEWEST = {
    INGEST: "had ended when the run was due",
    SCORE: "is published",
    MONITOR: "is scored",
    WATCH: "had to be finished when the run was due",
}
"""Which partition is the newest for a stage, in words: the newest day that ..."""


@dataclass(frozen=True)
class Choice:
    """The partition of a run that names none, and the reason."""

    partition: str
    reason: str

    def __str__(self) -> str:
        return f"{self.partition}: {self.reason}"


def chosen(pipeline: Pipeline, stage: Stage, run_id: str, due: datetime) -> Choice:
    """The partition of a stage's run; the first answer is stored and returned ever after.

    `due` is the run's own time. Raises `NothingToDoError` if there is no such partition yet.
    """
    if (known := choice_of(pipeline, stage, run_id)) is not None:
        return known
    choice = newest(pipeline, stage, due)
    body = json.dumps({"run": run_id, **asdict(choice)}).encode()
    with suppress(ConflictError):
        pipeline.storage.create(_key(pipeline, stage, run_id), body)
        return choice
    # Another task of the run was first.
    return choice_of(pipeline, stage, run_id) or choice


def choice_of(pipeline: Pipeline, stage: Stage, run_id: str) -> Choice | None:
    """The partition that a run has taken; None if it has taken none yet, or names its partition itself."""
    key = _key(pipeline, stage, run_id)
    found = pipeline.storage.find(key)
    if found is None:
        return None
    with readable(pipeline.name, key, pipeline.storage, "delete it, then start another run"):
        kept = json.loads(found.body)
        return Choice(str(kept["partition"]), str(kept["reason"]))


def newest(pipeline: Pipeline, stage: Stage, due: datetime) -> Choice:
    """The newest partition for a stage at a moment; raises `NothingToDoError` where there is none."""
    calendar, first = pipeline.spec.calendar, pipeline.spec.first_partition
    at = f"{due.astimezone(ZoneInfo(calendar.timezone)):%Y-%m-%d %H:%M} {calendar.timezone}"
    if stage in (INGEST, WATCH):
        ended = stage is INGEST
        key = calendar.newest_ended(due) if ended else pipeline.spec.watched.newest(due)
        partition = key if key >= first else None
        reason = f"{'had ended at' if ended else 'had to be finished at'} {at}"
    else:
        from evergreen.lake import Table

        before = NIGHTLY[NIGHTLY.index(stage) - 1]
        partition = max(pipeline.lake.partitions(Table(before.table)), default=None)
        reason = NEWEST[stage]
    word = calendar.grain.facts.word
    if partition is None:
        raise NothingToDoError(f"{pipeline.name}: there is no {word} yet that {reason}")
    return Choice(partition, f"the newest {word} that {reason}")


def _key(pipeline: Pipeline, stage: Stage, run_id: str) -> str:
    # A run's id may hold anything.
    return f"{pipeline.name}/runs/{stage}/{hashlib.sha256(run_id.encode()).hexdigest()[:32]}.json"
