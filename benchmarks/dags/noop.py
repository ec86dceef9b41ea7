"""Airflow DAGs of the same shape as a pipeline's ingest, score and monitor, whose tasks do nothing.

Same schedule, assets, task count, retries and limits: what a night of these takes is Airflow's own part. They
are those of `noop`, which has two sources, and of as many with one as `NOOP_PIPELINES` says.
"""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import (
    DAG,
    Asset,
    BaseOperator,
    CronPartitionTimetable,
    PartitionedAssetTimetable,
    TriggerRule,
)
from airflow.sdk.exceptions import AirflowSkipException


class NothingOperator(BaseOperator):
    """Does nothing, in a task of its own. (Airflow never starts an `EmptyOperator`.)"""

    def execute(self, context: Any) -> None:
        """Nothing."""


class SkippedOperator(BaseOperator):
    """Skips, as `retrain` and `promote` do on a night without drift."""

    def execute(self, context: Any) -> None:
        """Skip."""
        raise AirflowSkipException("nothing to do")


COMMON: dict[str, Any] = {
    "start_date": datetime(2011, 1, 1, tzinfo=UTC),
    "catchup": False,
    "max_active_runs": 4,
    "default_args": {"retries": 3, "retry_delay": timedelta(seconds=30)},
}
NIGHTLY = CronPartitionTimetable("0 2 * * *", timezone="UTC", run_offset=-1, key_format="%Y-%m-%d")
MANY = int(os.environ.get("NOOP_PIPELINES", "0"))

for name, sources in {"noop": 2, **{f"noop_{number:02d}": 1 for number in range(MANY)}}.items():
    partitions = Asset(name=f"{name}_partitions", uri=f"evergreen://{name}/partitions")
    predictions = Asset(name=f"{name}_predictions", uri=f"evergreen://{name}/predictions")

    with DAG(f"{name}_ingest", schedule=NIGHTLY, **COMMON):
        extract = [NothingOperator(task_id=f"extract_{source}") for source in range(sources)]
        publish = NothingOperator(task_id="publish", outlets=[partitions])
        extract >> NothingOperator(task_id="validate") >> publish

    with DAG(f"{name}_score", schedule=PartitionedAssetTimetable(assets=partitions), **COMMON):
        NothingOperator(task_id="score", outlets=[predictions]) >> NothingOperator(
            task_id="train_first_champion", trigger_rule=TriggerRule.ALL_SKIPPED
        )

    with DAG(f"{name}_monitor", schedule=PartitionedAssetTimetable(assets=predictions), **COMMON):
        promote, alert = SkippedOperator(task_id="promote"), NothingOperator(task_id="alert")
        NothingOperator(task_id="monitor") >> [SkippedOperator(task_id="retrain"), promote, alert]
        [promote, alert] >> NothingOperator(task_id="report", trigger_rule="none_failed")
