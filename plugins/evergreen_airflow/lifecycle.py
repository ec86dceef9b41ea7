"""What the four DAG files share: which pipelines to build, and a DAG's schedule, page, params and limits."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from string import Template
from typing import TYPE_CHECKING, Any

from airflow.sdk import (
    Asset,
    CronPartitionTimetable,
    CronTriggerTimetable,
    Param,
    PartitionedAssetTimetable,
    get_parsing_context,
)

from evergreen.errors import SpecError
from evergreen.spec import Spec, load_spec, pipeline_names

if TYPE_CHECKING:
    from airflow.sdk import Context

STAGES = ("ingest", "score", "monitor", "train")
"""The DAGs of a pipeline, in the order of a night."""

TAGS = frozenset(
    {"evergreen", *STAGES, "regression", "classification", "clustering"}
    | {"hourly", "daily", "weekly", "monthly", "snapshot"}
)
"""All the tags there are."""


def described_pipelines(stage: str) -> Iterator[Spec]:
    """The pipelines to build a stage's DAGs for.

    All of them while the DAG file is parsed; only the one that is asked for while a task runs. A pipeline
    whose description is wrong is left out here and named by `dags/broken_pipelines.py`.
    """
    wanted = get_parsing_context().dag_id
    for name in pipeline_names():
        if wanted is None or wanted == f"{name}_{stage}":
            try:
                yield load_spec(name)
            except SpecError:
                continue


def dag_arguments(spec: Spec, stage: str, page: str) -> dict[str, Any]:
    """Arguments of the `DAG` of one pipeline and stage, but for its schedule and params.

    `page` is the DAG file's docstring: it becomes the DAG's page, with `$pipeline` and the like filled in.
    """
    return {
        "dag_id": f"{spec.name}_{stage}",
        "dag_display_name": f"{spec.name}_{stage}",
        "description": f"{spec.description}: {stage}",
        "doc_md": doc_page(spec, page),
        "tags": {"evergreen", stage, spec.task.value, spec.partition.value},
        "start_date": datetime(spec.start.year, spec.start.month, spec.start.day, tzinfo=UTC)
        if spec.start
        else datetime(2024, 1, 1, tzinfo=UTC),
        "catchup": False,
        "dagrun_timeout": timedelta(hours=6) + longest_wait(spec, stage),
        "default_args": {
            "owner": spec.owner,
            "retries": 3,
            "retry_delay": timedelta(seconds=30),
            "retry_exponential_backoff": 2,
            "max_retry_delay": timedelta(minutes=10),
            "execution_timeout": timedelta(hours=2),
        },
        "render_template_as_native_obj": False,
    }


def longest_wait(spec: Spec, stage: str) -> timedelta:
    """How long a run of a stage may wait: ingest for its sources to be complete, train for an approval."""
    waits = {
        "ingest": [source.complete.within for source in spec.sources.values() if source.complete],
        "train": [spec.gate.approval.within] if spec.gate.approval else [],
    }
    return max(waits.get(stage, []), default=timedelta(0))


def alert(context: Context) -> None:
    """Say once and for all that a task failed and somebody must know: the `on_failure_callback` of a wait.

    One ERROR line in the log of the task, or in the DAG processor's where the task was killed from outside.
    """
    ti, reason = context["ti"], context.get("exception") or "it was ended from outside"
    logging.getLogger(__name__).error("ALERT %s %s: %s", ti.dag_id, ti.task_id, reason)


def doc_page(spec: Spec, page: str) -> str:
    """A DAG's page: the DAG file's docstring with the pipeline's facts in it."""
    return Template(inspect.cleandoc(page)).substitute(
        pipeline=spec.name,
        description=spec.description,
        owner=spec.owner,
        schedule=spec.schedule,
        train_schedule=spec.training.schedule or "none of its own",
        partition=spec.partition.value,
        sources=", ".join(f"{name} ({source.kind})" for name, source in spec.sources.items()),
        approval=_approval(spec),
        sink=f"PostgreSQL table `{spec.scoring.table}`" if spec.scoring else "no table outside the lake",
    )


def _approval(spec: Spec) -> str:
    approval = spec.gate.approval
    if approval is None:
        return "none: the gate alone decides"
    when = "is always asked" if approval.when == "always" else "is asked where the comparison is inconclusive"
    who = f"one of {', '.join(approval.by)}" if approval.by else "a person"
    return f"{who} {when}, and has {approval.within} to answer"


def nightly(spec: Spec) -> CronPartitionTimetable | CronTriggerTimetable:
    """The pipeline's cron; with time, each run's key is the partition that ended before it."""
    if not spec.calendar.has_time:
        return CronTriggerTimetable(spec.schedule, timezone="UTC")
    return CronPartitionTimetable(
        spec.schedule, timezone="UTC", run_offset=-1, key_format=spec.calendar.key_format
    )


def follows(spec: Spec, asset: Asset) -> PartitionedAssetTimetable | list[Asset]:
    """Run once for each partition of the asset."""
    return PartitionedAssetTimetable(assets=asset) if spec.calendar.has_time else [asset]


def partition_params(spec: Spec) -> dict[str, Param]:
    """The form of a DAG that works on one partition."""
    if not spec.calendar.has_time:
        return {}
    return {
        "partition": Param(
            None,
            type=["null", "string"],
            title="Partition",
            description=f"A {spec.partition} partition key like {spec.first_partition}. "
            "Empty: the run's own partition key.",
        )
    }


def range_params(spec: Spec) -> dict[str, Param]:
    """The form of a DAG that works on one partition or on a range of them."""
    if not spec.calendar.has_time:
        return {}
    return {
        **partition_params(spec),
        "to": Param(
            None,
            type=["null", "string"],
            title="Last partition of a range",
            description=f"Work on all partitions from 'Partition' to this one in one run, like "
            f"{spec.calendar.shift(spec.first_partition, 30)}. Empty: only the one.",
        ),
        "announce": Param(
            "newest",
            enum=["newest", "all"],
            title="Announce",
            description=f"Which partitions of a range {spec.name}_score is started for, once for each.",
        ),
    }


def training_params(spec: Spec) -> dict[str, Param]:
    """The form of the training DAG."""
    as_of = Param(
        None,
        type=["null", "string"],
        title="As of",
        description=f"Train on partitions before this key, like {spec.first_partition}. "
        "Empty: all that is published.",
    )
    reason = Param(
        "triggered by hand",
        type=["string", "object"],
        title="Reason",
        description="Why this training runs; it is stored with the model.",
    )
    return {"as_of": as_of, "reason": reason} if spec.calendar.has_time else {"reason": reason}
