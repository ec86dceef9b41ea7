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

**Backfill**: `airflow backfill create --dag-id ${pipeline}_ingest --from-date A --to-date B` runs every
partition that begins between A and B, both included. Or trigger a run with a partition key (Advanced Options)
or the param *Partition*. With an empty form the newest partition that had ended when the run was due is
taken; the log says which.

**A long history at once**: the params *Partition* and *Last partition of a range* load the whole range in one
run. If a partition is refused, the others are still published, and *publish* fails and names it. Only the
newest partition of a range without refusals emits an asset event, so that one score run follows. With
*Announce* `all` each partition does, and `evergreen score $pipeline --partition A --to B` scores a range
without Airflow.

**When it fails**
- *wait* failed: the source was not complete in time. The log says what was checked, since when, and what was
  missing. Clear the run when the source has caught up; its time to wait starts again.
- *extract* failed: the log names the source and the remedy (connection, table, key, answer of the API). An
  unreachable source was tried for a quarter of an hour; clear the task when it is back.
- *validate* failed: the partition was **refused**. Nothing of it was published; an earlier published state
  stays. The log names the expectations that failed. Fix the source and clear the run from its first task.
- *publish* failed: if the storage could not be written, clear the task. If partitions of a range were refused
  (the log names them; all others are published), fix the source and clear the run from its first task.
- *publish_changed* failed (only with a source that has `changed`): earlier partitions whose rows have changed
  could not be ingested again; those that were refused keep their earlier rows. The run's own partition is
  published and scored anyway. Fix the source and clear the task. Skipped: no rows have changed.
- *labels* failed (only with delayed labels): the labels that are due were refused or could not be read; the
  log says why. The partition itself is published and scored anyway. Fix the labels' source and clear the
  task, or run `evergreen labels $pipeline --partition A --to B`. Skipped: no labels are due yet.
"""

from airflow.sdk import DAG

from evergreen.stages import INGEST
from evergreen_airflow.assets import published_by
from evergreen_airflow.lifecycle import dag_arguments, described_pipelines, nightly, range_params
from evergreen_airflow.operators.labels import LabelsOperator
from evergreen_airflow.operators.publish import PublishPartitionOperator
from evergreen_airflow.operators.publish_changed import PublishChangedOperator
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
        if any(source.config.changes for source in spec.sources.values()):
            # Not after `publish`: a partition that is refused must not keep back what changed in others.
            list(extract.values()) >> PublishChangedOperator(
                task_id="publish_changed", pipeline=spec.name, outlets=[published_by(INGEST, spec.name)]
            )
        if spec.labels:
            # No task depends on it: labels that are late or wrong must not delay the scoring of rows.
            LabelsOperator(task_id="labels", pipeline=spec.name)
