"""
**$pipeline: score.** $description.

| | |
|---|---|
| **What** | scores the partition with the champion that was in force as of it |
| **Schedule** | each partition that `${pipeline}_ingest` publishes |
| **In** | the partition and the look-back of its features; the champion |
| **Out** | the lake's `predictions` table, $sink; asset `${pipeline}_predictions` |
| **Safe to re-run?** | yes: predictions are keyed, and a partition's are replaced as a whole |
| **Owner** | $owner |

Nights that were scored while this one was missing, and look back to it, are scored again before it.

With an empty form it scores the newest published partition; a run that is cleared later, the same one again.

*score* is skipped while there is no champion. *train_first_champion* then starts `${pipeline}_train` as soon
as there is enough history (`training.minimum`). If the gate does not promote that challenger, the next one is
trained after the cooldown. After several in a row that were worse (`retrain.refusals`) none is trained for a
while.

**When it fails**
- `features.py` or a package changed so that the champion's predictions differ from those at its training:
  the log says what differs. Train a new model (`evergreen train $pipeline`), or undo the change.
- the model does not match its digest, so it is not loaded. See `evergreen models verify $pipeline`, then
  `evergreen models rollback $pipeline`.
- The database or the storage was unreachable: clear the task when it is back.
"""

from airflow.sdk import DAG, TriggerRule

from evergreen.stages import INGEST, SCORE
from evergreen_airflow.assets import published_by
from evergreen_airflow.lifecycle import dag_arguments, described_pipelines, follows, partition_params
from evergreen_airflow.operators.retrain import TrainFirstChampionOperator
from evergreen_airflow.operators.score import ScoreOperator

for spec in described_pipelines(SCORE):
    with DAG(
        schedule=follows(spec, published_by(INGEST, spec.name)),
        params=partition_params(spec, SCORE),
        max_active_runs=4,
        **dag_arguments(spec, SCORE, __doc__),
    ):
        score = ScoreOperator(task_id="score", pipeline=spec.name, outlets=[published_by(SCORE, spec.name)])
        train_first_champion = TrainFirstChampionOperator(
            task_id="train_first_champion", pipeline=spec.name, trigger_rule=TriggerRule.ALL_SKIPPED
        )

        score >> train_first_champion
