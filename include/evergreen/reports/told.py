"""How nights and their figures are told, those of one and those of a week. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from evergreen.numbers import percent
from evergreen.pages.plots import NightPoint
from evergreen.registry.history import Event, Kind
from evergreen.reports.report import Course

if TYPE_CHECKING:
    from evergreen.monitoring.record import Decision
    from evergreen.signals.record import Record
    from evergreen.spec import Spec


def capital(text: str) -> str:
    """The text with a capital letter at its beginning."""
    return f"{text[:1].upper()}{text[1:]}"


def course(spec: Spec, nights: Sequence[tuple[Record, Decision]], since: str = "") -> Course | None:
    """The metric of the nights; None without two that have labels. A night of a new version is marked.

    Those from the partition `since` on are shaded where there are others before them.
    """
    if sum(record.error is not None for record, _ in nights) < 2:
        return None
    before = [nights[0][0].version, *(record.version for record, _ in nights)]
    points = tuple(
        NightPoint(
            record.partition, record.error, record.promised, decision.retrain, record.version != version
        )
        for (record, decision), version in zip(nights, before, strict=False)
    )
    return Course(spec.metric.with_unit, points, since if since > points[0].key else "")


def event_in_words(event: Event) -> str:
    """What happened to a version, in a clause."""
    match event.kind:
        case Kind.PROMOTED:
            replaced = f" in place of {event.replaces}" if event.replaces else ""
            return f"{event.version} was promoted and is in force from {event.as_of} on{replaced}"
        case Kind.REFUSED:
            why = event.reason.get("gate") or event.reason.get("approval")
            return f"{event.version} was refused{f': {why}' if why else ''}"
        case Kind.ROLLED_BACK:
            why = event.reason.get("why")
            return (
                f"{event.replaces} was rolled back, and {event.version} is in force from {event.as_of} on"
                f"{f' ({why})' if why else ''}"
            )
        case Kind.CANARY if event.share:
            return f"{event.version} answers {percent(event.share)} of the requests as a canary"
        case Kind.CANARY:
            return f"{event.version} is no longer a canary"
    return ""
