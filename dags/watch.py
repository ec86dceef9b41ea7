"""
**$pipeline: watch.** $description.

| | |
|---|---|
| **What** | checks whether the last night is finished: its partition published, scored and monitored |
| **Schedule** | $deadline ($timezone), the first at or after the tick of `${pipeline}_ingest` |
| **In** | the lake's tables; the champion |
| **Out** | an alert that names the stage that has not finished, and a note when it has |
| **Safe to re-run?** | yes: an open alert is not sent again |
| **Owner** | $owner |

It also detects a night that never started (a paused DAG, a scheduler that was down) and days without data.
The task succeeds in all these cases; its log says what is missing. With an empty form it checks the newest
partition whose deadline has passed.

**When it fails**
- the storage was unreachable: clear the task when it is back.
"""

from airflow.sdk import DAG

from evergreen.stages import WATCH
from evergreen_airflow.lifecycle import dag_arguments, described_pipelines, partition_params, watched
from evergreen_airflow.operators.watch import WatchOperator

for spec in described_pipelines(WATCH):
    if spec.alerts.deadline:
        with DAG(
            schedule=watched(spec),
            params=partition_params(spec, WATCH),
            max_active_runs=1,
            **dag_arguments(spec, WATCH, __doc__),
        ):
            watch = WatchOperator(task_id="watch", pipeline=spec.name)
