"""Airflow DAGs of the same shape as a pipeline's ingest, score and monitor, whose tasks do nothing.

Same schedule, assets, task count, retries and limits: what a backfill of these takes is Airflow's own part.
"""

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
    """Skips, as `retrain` does on a night without drift."""

    def execute(self, context: Any) -> None:
        """Skip."""
        raise AirflowSkipException("nothing to do")


COMMON: dict[str, Any] = {
    "start_date": datetime(2011, 1, 1, tzinfo=UTC),
    "catchup": False,
    "max_active_runs": 4,
    "default_args": {"retries": 3, "retry_delay": timedelta(seconds=30)},
}
partitions = Asset(name="noop_partitions", uri="evergreen://noop/partitions")
predictions = Asset(name="noop_predictions", uri="evergreen://noop/predictions")

with DAG(
    "noop_ingest",
    schedule=CronPartitionTimetable("0 2 * * *", timezone="UTC", run_offset=-1, key_format="%Y-%m-%d"),
    **COMMON,
):
    extract = [NothingOperator(task_id="extract_rentals"), NothingOperator(task_id="extract_weather")]
    extract >> NothingOperator(task_id="validate") >> NothingOperator(task_id="publish", outlets=[partitions])

with DAG("noop_score", schedule=PartitionedAssetTimetable(assets=partitions), **COMMON):
    NothingOperator(task_id="score", outlets=[predictions]) >> NothingOperator(
        task_id="train_first_champion", trigger_rule=TriggerRule.ALL_SKIPPED
    )

with DAG("noop_monitor", schedule=PartitionedAssetTimetable(assets=predictions), **COMMON):
    NothingOperator(task_id="monitor") >> SkippedOperator(task_id="retrain")
