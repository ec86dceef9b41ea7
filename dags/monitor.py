"""
**$pipeline: monitor.** $description.

| | |
|---|---|
| **What** | measures drift and performance, decides on a retraining, triggers `${pipeline}_train` |
| **Schedule** | each partition that `${pipeline}_score` scores |
| **In** | predictions and labels; the champion's `reference.json`; the records of earlier partitions |
| **Out** | the lake's `monitoring` table: the measures, the decision and its reason; alerts to `alerts.to` |
| **Safe to re-run?** | yes: the record is replaced, and one decision never starts a second training |
| **Owner** | $owner |

With an empty form it takes the newest scored partition; a run that is cleared later takes the same one again.

*retrain* is skipped if the decision is no, if the partition is not the newest published one (so a backfilled
hole never starts a training), and while a training started within the cooldown is running. The decision and
its evidence are passed to the training, stored with the model and shown on its card. After several
challengers in a row that were worse (`retrain.refusals`) none is trained for a while.

*promote* puts a challenger in force that the gate had left inconclusive and that is clearly better by now: it
has predicted every night beside the champion. So it does with one that waited for its shadow, once that has
been asked enough rows (`gate.shadow`). It is skipped while none is. See docs/gate.md.

*alert* sends alerts to the receivers in `pipeline.yaml`: once when an alert opens, and once when it is
resolved. If a receiver cannot be reached, the log says so and the next night retries. See
docs/how-to/alerts.md.

*report* writes the report of the night and sends it to `reports.to`; with the last partition of a week it
writes the week's too, and sends that to `reports.weekly`. See docs/how-to/reports.md.

**When it fails**
- the storage was unreachable: clear the task when it is back. No decision was lost; it is made again.
- *retrain* is always skipped because "3 challengers in a row were worse": see why on their cards, fix the
  cause, then run `evergreen train $pipeline`; or promote one: `evergreen models promote $pipeline VERSION`.
"""

from airflow.sdk import DAG

from evergreen.stages import MONITOR, SCORE, TRAIN
from evergreen_airflow.assets import published_by
from evergreen_airflow.lifecycle import dag_arguments, described_pipelines, follows, partition_params
from evergreen_airflow.operators.alert import AlertOperator
from evergreen_airflow.operators.monitor import MonitorOperator
from evergreen_airflow.operators.promote_tried import PromoteTriedOperator
from evergreen_airflow.operators.report import ReportOperator
from evergreen_airflow.operators.retrain import RetrainOperator

for spec in described_pipelines(MONITOR):
    with DAG(
        schedule=follows(spec, published_by(SCORE, spec.name)),
        params=partition_params(spec, MONITOR),
        max_active_runs=4,
        **dag_arguments(spec, MONITOR, __doc__),
    ):
        monitor = MonitorOperator(task_id="monitor", pipeline=spec.name)
        retrain = RetrainOperator(task_id="retrain", pipeline=spec.name)
        promote = PromoteTriedOperator(
            task_id="promote", pipeline=spec.name, outlets=[published_by(TRAIN, spec.name)]
        )
        alert = AlertOperator(task_id="alert", pipeline=spec.name)
        # After what is decided and told; a skipped promotion is no reason to go without.
        report = ReportOperator(task_id="report", pipeline=spec.name, trigger_rule="none_failed")

        monitor >> [retrain, promote, alert]
        [promote, alert] >> report
