"""
**$pipeline: train.** $description.

| | |
|---|---|
| **What** | trains a challenger as of a partition, holds it against the gate, promotes it to champion |
| **Approval** | $approval |
| **Schedule** | triggered by `${pipeline}_monitor` with the reason, or by hand; cron: $train_schedule |
| **In** | the partitions before `as_of`, never a later one |
| **Out** | a version below `models/`, `champion.json`, the history; asset `${pipeline}_champion` |
| **Safe to re-run?** | yes: same data, description and code give the same version, which is not made twice |
| **Owner** | $owner |

A challenger that the gate refuses is an outcome, not a failure: *gate* is green and says why, *promote* is
skipped, and the champion stays. Where a person is asked, *approve* waits for the answer in the UI (*Required
Actions*), with the gate's report; no, or no answer in time, is an outcome too. See docs/how-to/approval.md.

**When it fails**
- *build_training_set* skipped: there is too little history before `as_of`; backfill `${pipeline}_ingest`.
- *train* red: a candidate cannot be fit; the log's last line names it. Mend `pipeline.yaml` or `features.py`.
- *gate* red: the stored model does not predict what it did when it was trained; the log says what differs.
- *approve* was answered wrongly: clear it to be asked again, or `evergreen models promote $pipeline VERSION`.
- *promote* red: somebody else promoted at the same moment, or the storage was unreachable; clear the task.
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
