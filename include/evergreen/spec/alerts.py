"""Alert receivers, and the time limits of stages and nights."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator

from evergreen.description import Described
from evergreen.stages import STAGES
from evergreen.units import ConnectionId, Duration, OneOfNames, TimeOfDay

Severity = Literal["info", "warning", "critical"]


_LIMITED = [known.name for known in STAGES if known.limited]


def _limited(stage: str) -> str:
    if stage not in _LIMITED:
        raise ValueError(f"must be one of {', '.join(_LIMITED)}")
    return stage


LimitedStage = Annotated[str, AfterValidator(_limited), OneOfNames("a stage", _LIMITED)]
"""The name of a stage whose runs may be limited."""


class Receiver(Described):
    """A receiver of alerts."""

    conn_id: ConnectionId
    """The connection of the receiver: e-mail, Slack or a webhook. Example: team_mail"""
    at_least: Severity = "warning"
    """The lowest severity that it receives."""


class Alerts(Described):
    """Who receives alerts, and the limits on time."""

    to: tuple[Receiver, ...] = ()
    """The receivers."""
    deadline: TimeOfDay | None = None
    """The time of day, in the pipeline's time zone, by which a night must be monitored. Example: '06:00'"""
    limits: dict[LimitedStage, Duration] = {}
    """The longest allowed run by stage. Example: {ingest: 1 hour, train: 2 hours}"""
