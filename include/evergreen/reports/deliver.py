"""Sending the report of a night or a week to those who ask for it: each of them once.

A receiver's report is claimed by a conditional write before it is sent, so of two senders one sends. What
could not be sent is given free, and is sent when the stage runs again; a sender that is killed while it sends
leaves its claim. So nobody gets a report twice, and after a crash somebody may not get it at all: its page
stands in the storage.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from evergreen.alerts.alert import Message, Page
from evergreen.alerts.delivery import is_past
from evergreen.alerts.receivers import send
from evergreen.errors import ConflictError, EvergreenError
from evergreen.reports.due import weeks_due
from evergreen.reports.stage import write_night, write_week
from evergreen.reports.store import sent_key

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline
    from evergreen.reports.stage import Written

_log = logging.getLogger(__name__)


def made_and_sent(pipeline: Pipeline, night: str) -> Iterator[tuple[Written, list[str]]]:
    """The reports that the night of a partition makes, each with the connections it was just sent to.

    They are that of the night, and those of `weeks_due`. Raises as what writes and what delivers them.
    """
    to, weekly = pipeline.spec.reports.to, pipeline.spec.reports.weekly
    written = write_night(pipeline, night)
    yield written, deliver(pipeline, written, to, night)
    for partition in weeks_due(pipeline, night):
        written = write_week(pipeline, partition)
        yield written, deliver(pipeline, written, weekly, night)


def deliver(pipeline: Pipeline, written: Written, to: Sequence[str], night: str) -> list[str]:
    """Send a report to those of its receivers that have not had it; returns their connections.

    `night` is the partition whose night makes the report. Nothing is sent by that of a partition older than
    the newest published one. A receiver that cannot be reached is logged and fails nothing. Raises
    `UnavailableError` or `StorageError` where the storage fails.
    """
    if not to or is_past(pipeline, night):
        return []
    message = message_of(written, pipeline.storage.uri(written.key))
    return [conn_id for conn_id in to if _sent(pipeline, conn_id, written.report.name, message)]


def message_of(written: Written, address: str) -> Message:
    """The report as a message: in words, with where its page stands; a mail has the page attached."""
    report = written.report
    return Message(
        f"[report] {report.pipeline} {report.title}: {report.count}",
        f"{report.text}\n\nThe page: {address}",
        "info",
        {
            "severity": "info",
            "state": "report",
            "pipeline": report.pipeline,
            "partition": report.partition,
            "key": report.kind,
        },
        Page(f"{report.pipeline}-{report.name}.html", written.page),
    )


def _sent(pipeline: Pipeline, conn_id: str, name: str, message: Message) -> bool:
    key = sent_key(pipeline.name, name, conn_id)
    try:
        pipeline.storage.create(key, b"{}")
    except ConflictError:
        return False  # it has it, or another sender is sending it
    try:
        why = send(pipeline.connect(conn_id), message)
    except EvergreenError as error:
        why = str(error)
    if why:
        pipeline.storage.delete([key])
        _log.warning("%s %s: '%s' did not get the report: %s", pipeline.name, name, conn_id, why)
    return not why
