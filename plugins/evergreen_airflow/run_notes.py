"""The note of a run, which Airflow's UI shows on its page: what its tasks have left, in their order.

A task leaves its line as an XCom. When the run has ended, a listener writes the lines into the note, in the
process that ended it: the scheduler. It reads and writes the metadata database alone, in a savepoint, so
that no error of it reaches the scheduler's own work. For people only: nothing is decided by a note.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow.listeners import hookimpl

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from airflow.sdk import Context
    from sqlalchemy.engine import Connection

KEY = "evergreen_note"
"""The key of the XCom that holds what a task has left."""

AUTHOR = "evergreen"
"""The user that a note of ours has in Airflow; the note of anyone else is never changed."""

LONGEST = 1000
"""Characters that Airflow's database has room for."""

_log = logging.getLogger(__name__)


def leave(context: Context, text: str) -> None:
    """Leave the text of a task for the note of its run; an error here is a warning and fails no task."""
    try:
        context["ti"].xcom_push(KEY, text)
    except Exception as error:  # noqa: BLE001 - whatever keeps Airflow from storing it
        _log.warning("the run has no note of this task: %s", error)


@hookimpl
def on_dag_run_success(dag_run: DagRun, msg: str) -> None:
    """Write the note of a run that has succeeded."""
    write(dag_run)


@hookimpl
def on_dag_run_failed(dag_run: DagRun, msg: str) -> None:
    """Write the note of a run that has failed: what came before, and why it failed."""
    write(dag_run)


def write(dag_run: DagRun) -> None:
    """Write the note of a run whose tasks have left something; an error is a warning in the log."""
    from sqlalchemy.orm import object_session

    session = object_session(dag_run)
    if session is None:
        return
    try:
        # Not the session's own savepoint: the scheduler takes that for a commit, and prohibits it.
        connection = session.connection()
        with connection.begin_nested():
            if left := _left(connection, dag_run.id):
                _replace(connection, dag_run.id, joined(left))
    except Exception as error:  # noqa: BLE001 - a note must never end a scheduler
        _log.warning("%s %s has no note: %s", dag_run.dag_id, dag_run.run_id, error)


def joined(texts: list[str]) -> str:
    """The texts of a run's tasks as one, a paragraph each, with as many whole lines as there is room for."""
    whole = "\n\n".join(texts)
    if len(whole) <= LONGEST:
        return whole
    cut = whole[: LONGEST - 4]
    return f"{(cut.rpartition(chr(10))[0] or cut).rstrip()} ..."


def _left(connection: Connection, run: int) -> list[str]:
    """What the tasks of a run have left, in the order of their ends."""
    from airflow.models.xcom import XComModel
    from sqlalchemy import select

    found = connection.execute(
        select(XComModel.value)
        .where(XComModel.dag_run_id == run, XComModel.key == KEY)
        .order_by(XComModel.timestamp, XComModel.task_id)
    )
    # Text is stored as it is; a backend that keeps XComs elsewhere may have put something else in its place.
    return [value for (value,) in found if isinstance(value, str)]


def _replace(connection: Connection, run: int, text: str) -> None:
    from airflow.models.dagrun import DagRunNote
    from sqlalchemy import insert, select, update

    stands = connection.execute(select(DagRunNote.user_id).where(DagRunNote.dag_run_id == run)).first()
    if stands is None:
        connection.execute(insert(DagRunNote).values(dag_run_id=run, content=text, user_id=AUTHOR))
    elif stands.user_id == AUTHOR:
        connection.execute(update(DagRunNote).where(DagRunNote.dag_run_id == run).values(content=text))
