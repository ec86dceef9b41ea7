"""What is alerted on, and when: a monitored partition, a run that failed or is late, a night not finished."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from evergreen.alerts.alert import Alert
from evergreen.alerts.conditions import GOLDEN, LIMIT, conditions, judged, slow
from evergreen.alerts.delivery import notify
from evergreen.errors import NotFoundError
from evergreen.labels.known import newest_known
from evergreen.lake import Table
from evergreen.monitoring.record import monitored
from evergreen.stages import INGEST, NIGHTLY, SCORE
from evergreen.timings import timing_of

if TYPE_CHECKING:
    from evergreen.monitoring.record import Decision
    from evergreen.pipeline import Pipeline
    from evergreen.signals.record import Record
    from evergreen.spec.alerts import Severity
    from evergreen.stages import Stage

NIGHT = "night"
"""Key of the alert that a night is not finished by its hour."""


def alert_on(pipeline: Pipeline, partition: str) -> list[Alert]:
    """Send the alerts that hold after the partition was monitored; returns all that hold, sent before or not.

    A night is finished once its partition has a record, whatever failed before. Where labels come later, the
    hard limit is checked on the record that received its labels in this night. Raises `NotFoundError` for a
    partition that is not monitored.
    """
    spec = pipeline.spec
    spec.calendar.check(partition)
    record, decision = monitored(pipeline, partition)
    found, known = conditions(spec, record, decision), {*judged(spec, record, decision), NIGHT}
    if (late := _filled_in(pipeline, partition)) is not None:
        beyond = [alert for alert in conditions(spec, *late) if alert.key == LIMIT]
        found = [alert for alert in found if not beyond or alert.key != LIMIT]
        found += [replace(a, partition=partition, text=f"{a.partition}: {a.text}") for a in beyond]
        known.add(LIMIT)
    notify(pipeline, found, partition, known)
    return found


def watch(pipeline: Pipeline, partition: str) -> Alert | None:
    """Tell if the partition's night is not finished, and which stage is missing; None if it is.

    A night is finished when the partition is published, scored (where a champion was in force as of it) and
    monitored. A night that never began is reported like any other.
    """
    pipeline.spec.calendar.check(partition)
    found = _unfinished(pipeline, partition)
    notify(pipeline, [found] if found else [], partition, {NIGHT})
    return found


def run_failed(pipeline: Pipeline, stage: Stage, task: str, partition: str, why: str) -> None:
    """Tell that a task has failed for good; `why` in one line. `partition` is empty where there is none."""
    severity: Severity = "critical" if stage.serving and task not in stage.aside else "warning"
    alerts = [Alert(_failed(stage, task), severity, f"{stage} failed", why, pipeline.name, partition)]
    timing = timing_of(pipeline, SCORE, partition) if stage == SCORE and partition else None
    if timing and timing.failed.startswith("IntegrityError"):
        alerts.append(Alert(GOLDEN, "critical", "the champion cannot be used", why, pipeline.name, partition))
    notify(pipeline, alerts, partition)


def run_succeeded(pipeline: Pipeline, stage: Stage, task: str, partition: str, in_time: bool = False) -> None:
    """Tell that a task which had failed for this partition, or an earlier one, has succeeded.

    `in_time` says that the run has ended within the limit of its stage, which ends the alert of a late one.
    """
    over = {_failed(stage, task)}
    if stage == SCORE:
        over.add(GOLDEN)
    if in_time:
        over.add(slow(stage.name))
    notify(pipeline, [], partition, over)


def run_late(pipeline: Pipeline, stage: Stage, partition: str) -> None:
    """Tell that a run of the stage is still going on past its limit."""
    limit = pipeline.spec.alerts.limits.get(stage.name)
    within = f" {limit}" if limit else ""
    text = f"{stage} has not ended within{within} (alerts.limits.{stage}): see the log of its tasks"
    found = Alert(slow(stage.name), "warning", f"{stage} takes too long", text, pipeline.name, partition)
    notify(pipeline, [found], partition)


def _unfinished(pipeline: Pipeline, partition: str) -> Alert | None:
    spec, lake = pipeline.spec, pipeline.lake
    if spec.calendar.has_time and partition < spec.first_partition:
        return None
    published = lake.partitions()
    if partition not in published:
        return _not_published(pipeline, partition, published)
    if pipeline.registry.champion(partition) is None:
        return None
    for stage in NIGHTLY:
        if partition not in lake.partitions(Table(stage.table)):
            text = (
                f"{partition} is not finished by {_deadline(pipeline)}: {stage} is missing: see "
                f"{stage.dag_id(spec.name)} in Airflow, or evergreen {stage} {spec.name} "
                f"--partition {partition}"
            )
            return _night(pipeline, partition, "critical", f"{stage} of {partition} is missing", text)
    return None


def _not_published(pipeline: Pipeline, partition: str, published: list[str]) -> Alert:
    spec = pipeline.spec
    before = [key for key in published if key < partition]
    since = f"; the newest published is {before[-1]}" if before else "; nothing is published"
    days = spec.calendar.distance(before[-1], partition) if before else 0
    if days > 1:
        since += f", {days} partitions ago"
    ran = timing_of(pipeline, INGEST, partition)
    if ran is not None and not ran.failed:
        text = f"{partition} was ingested and holds no rows{since}: see its sources"
        return _night(pipeline, partition, "warning", f"no data for {partition}", text)
    why = f" ({ran.failed})" if ran else ""
    text = (
        f"{partition} is not published by {_deadline(pipeline)}{why}{since}: see whether "
        f"{INGEST.dag_id(spec.name)} is paused or failed in Airflow, or evergreen {INGEST} {spec.name} "
        f"--partition {partition}"
    )
    return _night(pipeline, partition, "critical", f"ingest of {partition} is missing", text)


def _night(pipeline: Pipeline, partition: str, severity: Severity, title: str, text: str) -> Alert:
    return Alert(NIGHT, severity, title, text, pipeline.name, partition)


def _deadline(pipeline: Pipeline) -> str:
    deadline = pipeline.spec.alerts.deadline
    return f"{deadline:%H:%M} {pipeline.spec.timezone}" if deadline else "now"


def _failed(stage: Stage, task: str) -> str:
    return f"failed_{stage}_{task}"


def _filled_in(pipeline: Pipeline, partition: str) -> tuple[Record, Decision] | None:
    """The record whose labels came with the partition; None where labels come at once, or have not come."""
    if not pipeline.spec.label_delay:
        return None
    try:
        found = monitored(pipeline, newest_known(pipeline.spec, partition))
    except NotFoundError:
        return None
    return found if found[0].error is not None else None
