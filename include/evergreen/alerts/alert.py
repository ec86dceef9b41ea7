"""An alert, and the message that a receiver gets of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evergreen.spec.alerts import Severity

SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
"""From the least to the most severe."""


def at_least(severity: Severity, least: Severity) -> bool:
    """Whether a severity is `least` or above it."""
    return SEVERITIES.index(severity) >= SEVERITIES.index(least)


@dataclass(frozen=True)
class Alert:
    """Something that is wrong. `key` identifies it within the pipeline: while it is open, it is sent once.

    `title` is one line that can stand alone, `text` says what was found and what to do. `partition` is where
    it was found, empty where there is none.
    """

    key: str
    severity: Severity
    title: str
    text: str
    pipeline: str
    partition: str


@dataclass(frozen=True)
class Page:
    """An HTML page that goes with a message where the receiver takes files: its file name and its bytes."""

    name: str
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Message:
    """What is sent: a subject, a text, and the same as `facts` for a program to read.

    `page` goes with it where it is a mail.
    """

    subject: str
    text: str
    severity: Severity
    facts: Mapping[str, str] = field(default_factory=dict)
    page: Page | None = None


def opened(alert: Alert) -> Message:
    """The message that something is wrong."""
    return Message(
        f"[{alert.severity}] {alert.pipeline}: {alert.title}",
        f"{alert.text}\n\n{_where(alert)}",
        alert.severity,
        _facts(alert, alert.severity, "open"),
    )


def closed(alert: Alert) -> Message:
    """The quiet note that it is over."""
    return Message(
        f"[over] {alert.pipeline}: {alert.title}",
        f"This is over. It was: {alert.text}\n\n{_where(alert)}",
        "info",
        _facts(alert, "info", "over"),
    )


def _where(alert: Alert) -> str:
    partition = f", partition {alert.partition}" if alert.partition else ""
    return f"Pipeline {alert.pipeline}{partition}. Alert '{alert.key}'."


def _facts(alert: Alert, severity: Severity, state: str) -> dict[str, str]:
    return {
        "severity": severity,
        "state": state,
        "pipeline": alert.pipeline,
        "partition": alert.partition,
        "key": alert.key,
    }
