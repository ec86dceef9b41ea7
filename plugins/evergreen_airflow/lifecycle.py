"""Code shared by the DAG files: the pipelines to build; a DAG's schedule, page, params, limits and alerts."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from string import Template
from typing import Any

from airflow.sdk import (
    Asset,
    AsyncCallback,
    CronTriggerTimetable,
    DeadlineAlert,
    DeadlineReference,
    Param,
    PartitionedAssetTimetable,
    get_parsing_context,
)

from evergreen.errors import NotFoundError, SpecError
from evergreen.runs import NEWEST
from evergreen.spec import Spec, load_spec, pipeline_names
from evergreen.stages import INGEST, TRAIN, Stage
from evergreen_airflow.notifiers import AlertNotifier
from evergreen_airflow.timetable import PartitionTimetable

_LONG_AGO = date(2024, 1, 1)

# Airflow checks the schema of each param whenever a DAG is made: in a third of the time by this draft, which
# has no references to follow.
_DRAFT = {"$schema": "http://json-schema.org/draft-07/schema#"}

alert = AlertNotifier("failed")
"""The `on_failure_callback` of every task: sends an alert when a task has failed after its retries."""


def described_pipelines(stage: Stage) -> Iterator[Spec]:
    """The pipelines to build a stage's DAGs for.

    All of them when Airflow parses the DAG file; only the pipeline of the task when a task runs. A pipeline
    whose description is wrong is left out here and named by `dags/broken_pipelines.py`.
    """
    for name in _wanted(stage):
        try:
            yield load_spec(name)
        except (SpecError, NotFoundError):
            continue


def _wanted(stage: Stage) -> list[str]:
    dag_id = get_parsing_context().dag_id
    if dag_id is None:
        return pipeline_names()
    name = dag_id.removesuffix(f"_{stage}")
    return [name] if dag_id == stage.dag_id(name) else []


def dag_arguments(spec: Spec, stage: Stage, page: str) -> dict[str, Any]:
    """Arguments of the `DAG` of one pipeline and stage, except its schedule and params.

    `page` is the DAG file's docstring: it becomes the DAG's page, with `$pipeline` and the like filled in.
    """
    return {
        "dag_id": stage.dag_id(spec.name),
        "dag_display_name": stage.dag_id(spec.name),
        "description": f"{spec.description}: {stage}",
        "doc_md": doc_page(spec, stage, page),
        "tags": {"evergreen", stage.name, spec.task.value, spec.partition.value},
        "start_date": spec.calendar.start(spec.first_partition)
        if spec.calendar.has_time
        else datetime.combine(spec.start or _LONG_AGO, time(), tzinfo=UTC),
        "catchup": False,
        "dagrun_timeout": timedelta(hours=6) + longest_wait(spec, stage),
        "deadline": deadline(spec, stage),
        "default_args": {
            "owner": spec.owner,
            # A task may be lost with its worker and find the storage away, each more than once in a night.
            # A retry that cannot help is not made: see `task_outcome`.
            "retries": 5,
            "retry_delay": timedelta(seconds=30),
            "retry_exponential_backoff": 2,
            "max_retry_delay": timedelta(minutes=10),
            "execution_timeout": timedelta(hours=2),
            "on_failure_callback": alert,
            "on_success_callback": AlertNotifier("succeeded"),
            **({"queue": stage.queue, "pool": stage.queue} if stage.queue else {}),
        },
        "render_template_as_native_obj": False,
    }


def longest_wait(spec: Spec, stage: Stage) -> timedelta:
    """How long a run of a stage may wait: ingest for its sources to be complete, train for an approval."""
    waits = {
        INGEST: [source.complete.within for source in spec.sources.values() if source.complete],
        TRAIN: [spec.gate.approval.within] if spec.gate.approval else [],
    }
    return max(waits.get(stage, []), default=timedelta(0))


def deadline(spec: Spec, stage: Stage) -> DeadlineAlert | None:
    """The deadline that alerts when a run of the stage exceeds its limit; None if it has no limit."""
    limit = spec.alerts.limits.get(stage.name)
    if limit is None:
        return None
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        # In seconds: with a timedelta, clearing a run fails in Airflow 3.3 (see docs/adr/0008).
        interval=limit.total_seconds(),
        # In the triggerer: Airflow 3.3 refuses connections to a callback in the executor.
        callback=AsyncCallback(AlertNotifier, kwargs={"event": "late"}),
        name=f"{stage} within {limit}",
    )


def doc_page(spec: Spec, stage: Stage, page: str) -> str:
    """A DAG's page: the DAG file's docstring with the pipeline's facts in it."""
    return Template(inspect.cleandoc(page)).substitute(
        pipeline=spec.name,
        description=spec.description,
        owner=spec.owner,
        schedule=spec.schedule,
        timezone=spec.timezone,
        takes=f"each {spec.calendar.grain.facts.word} at the first tick after its end"
        if spec.calendar.has_time
        else "the snapshot at each tick",
        deadline=f"{spec.alerts.deadline:%H:%M}" if spec.alerts.deadline else "no hour",
        maintenance_schedule=spec.maintenance.schedule,
        train_schedule=spec.training.schedule or "none of its own",
        partition=spec.partition.value,
        sources=", ".join(f"{name} ({source.kind})" for name, source in spec.sources.items()),
        approval=_approval(spec),
        queue=stage.queue,
        sink=f"table `{spec.scoring.table}`" if spec.scoring else "no table outside the lake",
    )


def _approval(spec: Spec) -> str:
    approval = spec.gate.approval
    if approval is None:
        return "none: the gate alone decides"
    when = "is always asked" if approval.when == "always" else "is asked where the comparison is inconclusive"
    who = f"one of {', '.join(approval.by)}" if approval.by else "a person"
    return f"{who} {when}, and has {approval.within} to answer"


def nightly(spec: Spec) -> PartitionTimetable | CronTriggerTimetable:
    """The nightly timetable: a partition's run is due at the first tick at or after its end."""
    return PartitionTimetable(spec.ticks) if spec.calendar.has_time else _cron(spec, spec.schedule)


def watched(spec: Spec) -> PartitionTimetable | CronTriggerTimetable:
    """The watch's timetable: each partition at the first `alerts.deadline` at or after its tick."""
    ticks = spec.watched
    return PartitionTimetable(ticks) if spec.calendar.has_time else _cron(spec, ticks.schedules[-1].cron)


def trained(spec: Spec) -> CronTriggerTimetable | None:
    """The cron of trainings; None if the description has none."""
    return _cron(spec, spec.training.schedule) if spec.training.schedule else None


def maintained(spec: Spec) -> CronTriggerTimetable:
    """The cron of maintenance."""
    return _cron(spec, spec.maintenance.schedule)


def _cron(spec: Spec, cron: str) -> CronTriggerTimetable:
    return CronTriggerTimetable(cron, timezone=spec.timezone)


def follows(spec: Spec, asset: Asset) -> PartitionedAssetTimetable | list[Asset]:
    """Run once for each partition of the asset."""
    return PartitionedAssetTimetable(assets=asset) if spec.calendar.has_time else [asset]


def partition_params(spec: Spec, stage: Stage) -> dict[str, Param]:
    """The form of a stage that works on one partition."""
    if not spec.calendar.has_time:
        return {}
    return {
        "partition": Param(
            None,
            type=["null", "string"],
            **_DRAFT,
            title="Partition",
            description=f"A {spec.partition} partition key like {spec.first_partition}. Empty: the run's own "
            f"partition key, or without one the newest partition that {NEWEST[stage]}.",
        )
    }


def range_params(spec: Spec) -> dict[str, Param]:
    """The form of a DAG that ingests one partition or a range of them."""
    if not spec.calendar.has_time:
        return {}
    return {
        **partition_params(spec, INGEST),
        "to": Param(
            None,
            type=["null", "string"],
            **_DRAFT,
            title="Last partition of a range",
            description=f"Work on all partitions from 'Partition' to this one in one run, like "
            f"{spec.calendar.shift(spec.first_partition, 30)}. Empty: only the one.",
        ),
        "announce": Param(
            "newest",
            enum=["newest", "all"],
            **_DRAFT,
            title="Announce",
            description=f"Which partitions of a range {spec.name}_score is started for, once for each.",
        ),
    }


def training_params(spec: Spec) -> dict[str, Param]:
    """The form of the training DAG."""
    as_of = Param(
        None,
        type=["null", "string"],
        **_DRAFT,
        title="As of",
        description=f"Train on partitions before this key, like {spec.first_partition}. "
        "Empty: all that is published.",
    )
    reason = Param(
        "triggered by hand",
        type=["string", "object"],
        **_DRAFT,
        title="Reason",
        description="Why this training runs; it is stored with the model.",
    )
    return {"as_of": as_of, "reason": reason} if spec.calendar.has_time else {"reason": reason}
