"""
**$pipeline: maintain.** $description.

| | |
|---|---|
| **What** | writes checkpoints of the tables; deletes old pages and notes of runs, and files nobody needs |
| **Schedule** | `$maintenance_schedule` ($timezone) |
| **In** | all that is stored below the pipeline's prefix; the lineage of every version |
| **Out** | less of it |
| **Safe to re-run?** | yes: it finds nothing to do, and goes on where it was killed |
| **Owner** | $owner |

Rows, predictions, records, the history and versions of models are never deleted. What is kept, for how long,
and why: docs/how-to/maintain.md. `evergreen maintain $pipeline --dry-run` shows what the next run deletes.

**When it fails**
- the lineage of a version cannot be read, so that nobody knows which rows it needs: see `evergreen models
  verify $pipeline`. No rows were deleted.
- the storage was unreachable: the next run goes on, or clear the task.
"""

from airflow.sdk import DAG

from evergreen.stages import MAINTAIN
from evergreen_airflow.lifecycle import dag_arguments, described_pipelines, maintained
from evergreen_airflow.operators.maintain import MaintainOperator

for spec in described_pipelines(MAINTAIN):
    with DAG(
        schedule=maintained(spec),
        max_active_runs=1,
        **dag_arguments(spec, MAINTAIN, __doc__),
    ):
        MaintainOperator(task_id="maintain", pipeline=spec.name)
