"""
**$pipeline: watch.** $description.

| | |
|---|---|
| **What** | sees whether the last night is finished: its partition published, scored and monitored |
| **Schedule** | $deadline ($timezone), the first at or after the tick of `${pipeline}_ingest` |
| **In** | the lake's tables; the champion |
| **Out** | an alert that names the stage that is missing, and a note when the night is finished after all |
| **Safe to re-run?** | yes: an open alert is not sent again |
| **Owner** | $owner |

It sees a night that never began too (a paused DAG, a scheduler that stood still) and days without data. The
task is green either way: it has done its work, and its log says what is missing. Triggered with an empty form
it looks at the newest partition that had to be finished.

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
