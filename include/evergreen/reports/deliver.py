"""Sending the report of a night to those who ask for it: each of them once.

A receiver's report is claimed by a conditional write before it is sent, so of two senders one sends. What
could not be sent is given free, and is sent when the stage runs again; a sender that is killed while it sends
leaves its claim. So nobody gets a report twice, and after a crash somebody may not get it at all: its page
stands in the storage.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from evergreen.alerts.alert import Message, Page
from evergreen.alerts.delivery import is_past
from evergreen.alerts.receivers import send
from evergreen.errors import ConflictError, EvergreenError
from evergreen.reports.store import sent_key

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline
    from evergreen.reports.stage import Written

_log = logging.getLogger(__name__)


def deliver(pipeline: Pipeline, written: Written) -> list[str]:
    """Send a report to the receivers of `reports.to` that have not had it; returns their connections.

    Nothing is sent of a partition older than the newest published one. A receiver that cannot be reached is
    logged and fails nothing. Raises `UnavailableError` or `StorageError` where the storage fails.
    """
    to = pipeline.spec.reports.to
    if not to or is_past(pipeline, written.report.partition):
        return []
    message = message_of(written, pipeline.storage.uri(written.key))
    return [conn_id for conn_id in to if _sent(pipeline, conn_id, written.report.name, message)]


def message_of(written: Written, address: str) -> Message:
    """The report as a message: in words, with where its page stands; a mail has the page attached."""
    report = written.report
    return Message(
        f"[report] {report.pipeline} {report.partition}: {report.count}",
        f"{report.text}\n\nThe page: {address}",
        "info",
        {
            "severity": "info",
            "state": "report",
            "pipeline": report.pipeline,
            "partition": report.partition,
            "key": "report",
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
