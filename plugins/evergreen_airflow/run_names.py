"""Names of runs that hold their partition: `asset_triggered__2011-05-09__...` instead of the time alone.

Airflow 3.3 asks the timetable for the names of scheduled and backfilled runs, but not for those of runs that
an asset starts, and for those started by hand it does not say the partition. So a name is completed when the
run is made, in the processes that make runs. For people only: nothing is decided by a name.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from airflow.listeners import hookimpl

from evergreen.stages import stage_of

_COMPLETED = re.compile(r"(asset_triggered|manual)__(?=\d)")
"""How the names begin that Airflow has given without a partition."""

_KEY = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}")

_log = logging.getLogger(__name__)


@hookimpl
def on_starting(component: Any) -> None:
    """Complete names in the scheduler and Airflow's other jobs; tasks make no runs."""
    if type(component).__module__ == "airflow.jobs.job":
        complete_names()


def complete_names() -> None:
    """Complete the names of the runs that this process makes from now on."""
    from airflow.models.dagrun import DagRun
    from sqlalchemy import event

    if not event.contains(DagRun, "init", _complete):
        event.listen(DagRun, "init", _complete)


def _complete(run: Any, args: Any, facts: dict[str, Any]) -> None:
    """Before a run is made of `facts`; an error leaves its name as it is."""
    try:
        if is_ours(facts["dag_id"]):
            facts["run_id"] = named(facts["run_id"], _partition(facts))
    except Exception as error:  # noqa: BLE001 - a name must never keep a run from being made
        _log.warning("a run has no partition in its name: %s: %s", type(error).__name__, error)


def is_ours(dag_id: str) -> bool:
    """Whether a DAG is a stage of a pipeline that is described here."""
    from evergreen.spec import pipeline_names

    try:
        return stage_of(dag_id)[0] in pipeline_names()
    except KeyError:
        return False


def named(run_id: str, partition: str | None) -> str:
    """The run's id with the partition in it; as it is where a person or a timetable has chosen it."""
    if partition is None or not _KEY.fullmatch(partition) or partition in run_id:
        return run_id
    return _COMPLETED.sub(rf"\1__{partition}__", run_id, count=1)


def _partition(facts: dict[str, Any]) -> str | None:
    """The partition that a run is asked for, if it is; of a range the last."""
    asked = facts.get("conf") or {}
    found = asked.get("to") or asked.get("partition") or asked.get("as_of") or facts.get("partition_key")
    return None if found is None else str(found)
