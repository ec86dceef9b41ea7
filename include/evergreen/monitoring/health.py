"""What else tells whether a night went well: rows, quarantine, missing partitions, ages and times."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from evergreen.calendar import Calendar
from evergreen.registry.ids import as_of_version
from evergreen.stages import INGEST, SCORE, TRAIN, Stage
from evergreen.timings import Timing, timing_of

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline
    from evergreen.spec import Spec

USUAL = 8
"""How many earlier partitions say what number of rows is usual."""

_ENOUGH = 4  # of one place in a cycle, that the cycle is followed


def health(pipeline: Pipeline, partition: str, version: str, published: Sequence[str]) -> dict[str, Any]:
    """How a published partition's night went; plain JSON, for `Record.health`.

    `published` are the keys of all published partitions, sorted; those after `partition` are ignored, and
    `version` is the champion that scored it. The keys:

    - `rows`: rows published; `usual_rows`: their median over the eight partitions before, of the same weekday
      (and hour) where four of those are there; None where nothing is known.
    - `quarantined`: the share of the partition's rows that are in quarantine.
    - `missing`: how many partitions between this one and the last before it are not published.
    - `age`: published partitions since the champion's as-of, this one included.
    - `seconds`: how long the last runs of `ingest` and `score` for the partition, and of `train` for the
      champion, took; stages that did not run here are left out. (The run that writes the record cannot be in
      it.) `ms_per_1000_rows`: of `score`, None if it did not run.
    - `golden`: why the champion could not be used, if the partition's last scoring found it damaged or
      against its golden sample; None if it did not.
    """
    seen = published[: bisect_right(published, partition)]
    before = [key for key in seen if key != partition]
    wanted = usual_partitions(pipeline.spec.calendar, before, partition)
    records = pipeline.lake.records([*wanted, partition])
    ran = _timings(pipeline, partition, version)
    scored = ran.get(SCORE)
    return {
        "rows": records.get(partition, {}).get("rows"),
        "usual_rows": usual_rows([records[key] for key in wanted if key in records]),
        "quarantined": quarantined_share(records.get(partition, {})),
        "missing": missing_before(pipeline.spec, before, partition),
        "age": len(seen) - bisect_left(seen, as_of_version(version)) if _has_time(pipeline) else 0,
        "seconds": {stage.name: timing.seconds for stage, timing in ran.items()},
        "ms_per_1000_rows": ms_per_1000_rows(scored) if scored else None,
        "golden": scored.failed if scored and scored.failed.startswith("IntegrityError") else None,
    }


def usual_partitions(calendar: Calendar, before: Sequence[str], partition: str) -> list[str]:
    """Which of the partitions `before` (sorted) say what is usual for this one; at most `USUAL`.

    Shops are empty at night and on Sundays: an hour is held against the same hour of the week, a day against
    the same weekday, where there are enough of them.
    """
    known = set(before)
    for alike in calendar.like(partition, USUAL):
        if len(found := [key for key in alike if key in known]) >= _ENOUGH:
            return found
    return list(before[-USUAL:])


def usual_rows(records: Sequence[Mapping[str, Any]]) -> float | None:
    """The median number of rows of partitions' records; None without any."""
    rows = [record["rows"] for record in records if record.get("rows") is not None]
    return float(median(rows)) if rows else None


def quarantined_share(record: Mapping[str, Any]) -> float | None:
    """The share of all rows of a partition that are in quarantine, from its record; None without one."""
    if record.get("rows") is None:
        return None
    quarantined = int(record.get("quarantined", 0))
    return quarantined / max(int(record["rows"]) + quarantined, 1)


def missing_before(spec: Spec, before: Sequence[str], partition: str) -> int:
    """How many partitions there should be between the last of `before` and this one."""
    if not before or not spec.calendar.has_time:
        return 0
    return spec.calendar.distance(before[-1], partition) - 1


def ms_per_1000_rows(timing: Timing) -> float | None:
    """Milliseconds that a scoring took for each 1,000 rows; None without rows."""
    return round(timing.seconds * 1e6 / timing.rows, 3) if timing.rows else None


def _timings(pipeline: Pipeline, partition: str, version: str) -> dict[Stage, Timing]:
    runs = {INGEST: partition, SCORE: partition, TRAIN: as_of_version(version)}
    found = {stage: timing_of(pipeline, stage, key) for stage, key in runs.items()}
    return {stage: timing for stage, timing in found.items() if timing is not None}


def _has_time(pipeline: Pipeline) -> bool:
    return pipeline.spec.calendar.has_time
