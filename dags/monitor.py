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

Triggered with an empty form it takes the newest partition that is scored; cleared later, the same again.

*retrain* is skipped when the decision is no; for any partition but the newest published one, so that a
backfilled hole never retrains; and while a training of the nights before, within the cooldown, has not ended.
The decision and its evidence travel with the run, are stored with the model that comes of it, and are on its
card. After so many refused challengers in a row (`retrain.refusals`) none is trained any more.

*alert* tells the receivers that the description names what is wrong, once, and when it is over; a receiver
that cannot be reached is in its log and is tried again the next night. See docs/how-to/alerts.md.

**When it fails**
- the storage was unreachable: clear the task when it is back. No decision was lost: it is made again.
- *retrain* is always skipped, for "the last 3 challengers were refused": see why on their cards, mend it,
  then `evergreen train $pipeline`; or promote one with `evergreen models promote $pipeline VERSION`.
"""

from airflow.sdk import DAG

from evergreen.stages import MONITOR, SCORE
from evergreen_airflow.assets import published_by
from evergreen_airflow.lifecycle import dag_arguments, described_pipelines, follows, partition_params
from evergreen_airflow.operators.alert import AlertOperator
from evergreen_airflow.operators.monitor import MonitorOperator
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
        alert = AlertOperator(task_id="alert", pipeline=spec.name)

        monitor >> [retrain, alert]
