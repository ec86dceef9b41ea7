"""How long each stage ran, and whether it failed: small objects below `<pipeline>/timings/`.

The wall clock is read here and nowhere else, and never to decide what data to use.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from evergreen.errors import EvergreenError, NothingToDoError
from evergreen.readable import readable

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline
    from evergreen.stages import Stage

_log = logging.getLogger(__name__)


@dataclass
class Timing:
    """The last run of a stage for a partition.

    `seconds` is how long it took and `rows` how many rows it had, where it counts them. `failed` is the error
    in one line with its kind before it, as in `IntegrityError: ...`; empty if it did not fail. `began` is
    when a run of several tasks began, in ISO 8601; empty for a run of one.
    """

    seconds: float = 0.0
    rows: int = 0
    failed: str = ""
    began: str = ""


def now() -> str:
    """The current time, in the form of `Timing.began`."""
    return datetime.now(UTC).isoformat()


@contextmanager
def timed(pipeline: Pipeline, stage: Stage, partition: str) -> Iterator[Timing]:
    """Measure the body, and record it as the stage's last run for the partition (of a range: its last one).

    The body sets `rows` of the timing if it counts them, `began` if earlier tasks belong to the run too, and
    `failed` if it returns a failure.
    Nothing is recorded if there was nothing to do. A record that cannot be written is only logged: it never
    fails the stage.
    """
    timing = Timing()
    start = time.monotonic()
    try:
        yield timing
    except NothingToDoError:
        raise
    except Exception as error:
        timing.failed = failure(error)
        _note(pipeline, stage, partition, timing, start)
        raise
    _note(pipeline, stage, partition, timing, start)


def failure(error: Exception | None) -> str:
    """What `failed` says of an error; empty for none."""
    if error is None:
        return ""
    # Only our own messages are known to hold no secret.
    return type(error).__name__ + (f": {error}" if isinstance(error, EvergreenError) else "")


def timing_of(pipeline: Pipeline, stage: Stage, partition: str) -> Timing | None:
    """The stage's last run for the partition; None if it has not run."""
    key = _key(pipeline, stage, partition)
    found = pipeline.storage.find(key)
    if found is None:
        return None
    known = {field.name for field in fields(Timing)}
    with readable(pipeline.name, key, pipeline.storage, "delete it: the next run writes another"):
        values = json.loads(found.body)
        return Timing(**{name: value for name, value in values.items() if name in known})


def _note(pipeline: Pipeline, stage: Stage, partition: str, timing: Timing, start: float) -> None:
    seconds = time.monotonic() - start
    if timing.began:
        seconds = max(seconds, (datetime.now(UTC) - datetime.fromisoformat(timing.began)).total_seconds())
    timing.seconds = round(seconds, 3)
    try:
        body = json.dumps(asdict(timing)).encode()
        pipeline.storage.stage(_key(pipeline, stage, partition), body, "application/json")
    except EvergreenError as error:
        _log.warning("%s %s: how long %s took is not recorded: %s", pipeline.name, partition, stage, error)


def _key(pipeline: Pipeline, stage: Stage, partition: str) -> str:
    return f"{pipeline.name}/timings/{stage}/{partition}.json"
