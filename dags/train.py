"""
**$pipeline: train.** $description.

| | |
|---|---|
| **What** | trains a challenger as of a partition, passes it through the gate, promotes it to champion |
| **Approval** | $approval |
| **Schedule** | triggered by `${pipeline}_monitor` with the reason, or by hand; cron: $train_schedule |
| **In** | the partitions before `as_of`, and no others |
| **Out** | a version below `models/`, `champion.json`, the history; asset `${pipeline}_champion` |
| **Safe to re-run?** | yes: same data, description and code give the same version, which is not made twice |
| **Runs in** | the queue and the pool `$queue`, so that no night waits for it (docs/how-to/workers.md) |
| **Owner** | $owner |

A challenger that is worse or inconclusive is not a failure: *gate* succeeds and its log gives the reasons,
*promote* is skipped and the champion stays. An inconclusive one goes on trial: `${pipeline}_monitor` compares
it with the champion on every night that comes, and promotes it once it is clearly better. If approval is
required, *approve* waits for the answer in the UI (*Required Actions*) and shows the gate's report. A
rejection, or no answer in time, is not a failure. See docs/how-to/approval.md.

**When it fails**
- its tasks stay *scheduled*: the pool `$queue` is missing (`airflow pools set $queue 2 trainings`) or full;
  *queued*: no Celery worker listens to the queue `$queue`.
- *build_training_set* skipped: there is too little history before `as_of`; backfill `${pipeline}_ingest`.
- *train* failed: a candidate cannot be fit; the log's last line names it. Fix it in `pipeline.yaml` or
  `features.py`.
- *gate* failed: the stored model's predictions differ from those at its training; the log says what differs.
- *approve* was answered wrongly: clear it to be asked again, or `evergreen models promote $pipeline VERSION`.
- *promote* failed: another promotion won at the same moment, or the storage was unreachable; clear the task.
- a bad model was promoted: `evergreen models rollback $pipeline`.
"""

from airflow.sdk import DAG

from evergreen.stages import TRAIN
from evergreen_airflow.assets import published_by
from evergreen_airflow.lifecycle import dag_arguments, described_pipelines, trained, training_params
from evergreen_airflow.operators.approve import ApproveOperator
from evergreen_airflow.operators.build_training_set import BuildTrainingSetOperator
from evergreen_airflow.operators.evaluate import EvaluateOperator
from evergreen_airflow.operators.gate import GateOperator
from evergreen_airflow.operators.promote import PromoteOperator
from evergreen_airflow.operators.train import TrainOperator

for spec in described_pipelines(TRAIN):
    with DAG(
        schedule=trained(spec),
        params=training_params(spec),
        max_active_runs=1,
        **dag_arguments(spec, TRAIN, __doc__),
    ):
        build_training_set = BuildTrainingSetOperator(task_id="build_training_set", pipeline=spec.name)
        train = TrainOperator(task_id="train", pipeline=spec.name)
        evaluate = EvaluateOperator(task_id="evaluate", pipeline=spec.name)
        gate = GateOperator(task_id="gate", pipeline=spec.name)
        promote = PromoteOperator(
            task_id="promote", pipeline=spec.name, outlets=[published_by(TRAIN, spec.name)]
        )

        build_training_set >> train >> evaluate >> gate
        if approval := spec.gate.approval:
            approve = ApproveOperator(
                task_id="approve", pipeline=spec.name, within=approval.within, by=approval.by
            )
            gate >> approve >> promote
        else:
            gate >> promote
