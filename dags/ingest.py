"""
**$pipeline: ingest.** $description.

| | |
|---|---|
| **What** | waits for and extracts each source, joins and validates the rows, publishes the partition |
| **Schedule** | `$schedule` ($timezone): $takes |
| **In** | $sources |
| **Out** | the lake's `partitions` and `quarantine` tables; asset `${pipeline}_partitions` |
| **Safe to re-run?** | yes, in any order: a partition is replaced as a whole, in one atomic commit |
| **Owner** | $owner |

**Backfill**: `airflow backfill create --dag-id ${pipeline}_ingest --from-date A --to-date B` runs what begins
between the two, both included; or trigger it with a partition key (Advanced Options) or the param
*Partition*. An empty form takes the newest partition that had ended when the run was due; its log says which.

**A long history at once**: the params *Partition* and *Last partition of a range* load the whole range in one
run. A refused partition leaves the others alone: they are published, and *publish* ends red and names it.
Only the newest partition of a range without refusals is announced, so that one score run follows;
*Announce* `all` starts one for each, and `evergreen score $pipeline --partition A --to B` scores a range
without Airflow.

**When it fails**
- *wait* red: the source was not complete in time. Its log says what was asked, since when, and what was
  missing; clear the run when the source has caught up (its time to wait begins anew).
- *extract* red: its log names the source and the remedy (connection, table, key, answer of the API). An
  unreachable source was tried four times; clear the task when it is back.
- *validate* red: the partition was **refused**; nothing was published, the last good state stays. The log
  names the expectations that failed. Mend the source and clear the run from its first task.
- *publish* red: the storage could not be written: clear the task. Or partitions of a range were refused (its
  log names them; all others are published): mend the source and clear the run from its first task.
- *labels* (only where labels come later than their rows) red: the labels that are due were refused or could
  not be read; its log says why. The partition itself is published and scored all the same. Mend their source
  and clear the task, or `evergreen labels $pipeline --partition A --to B`. Skipped: none are due yet.
"""

from airflow.sdk import DAG

from evergreen.stages import INGEST
from evergreen_airflow.assets import published_by
from evergreen_airflow.lifecycle import dag_arguments, described_pipelines, nightly, range_params
from evergreen_airflow.operators.labels import LabelsOperator
from evergreen_airflow.operators.publish import PublishPartitionOperator
from evergreen_airflow.operators.source_to_lake import SourceToLakeOperator
from evergreen_airflow.operators.validate import ValidateOperator
from evergreen_airflow.operators.wait import WaitForSourceOperator

for spec in described_pipelines(INGEST):
    with DAG(
        schedule=nightly(spec),
        params=range_params(spec),
        max_active_runs=4,
        **dag_arguments(spec, INGEST, __doc__),
    ):
        extract = {
            name: SourceToLakeOperator(task_id=f"extract_{name}", pipeline=spec.name, source=name)
            for name in spec.sources
        }
        wait = {
            name: WaitForSourceOperator(task_id=f"wait_{name}", pipeline=spec.name, source=name)
            for name, source in spec.sources.items()
            if source.complete
        }
        validate = ValidateOperator(task_id="validate", pipeline=spec.name)
        publish = PublishPartitionOperator(
            task_id="publish", pipeline=spec.name, outlets=[published_by(INGEST, spec.name)]
        )

        for name, complete in wait.items():
            complete >> extract[name]
        list(extract.values()) >> validate >> publish
        if spec.labels:
            # Beside the chain: labels that are late, or wrong, keep no row from being scored.
            LabelsOperator(task_id="labels", pipeline=spec.name)
