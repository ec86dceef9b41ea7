"""Who is told, of what, and by when a night must be done."""

from __future__ import annotations

from datetime import time
from typing import Annotated, Literal

from pydantic import AfterValidator

from evergreen.description import Described
from evergreen.stages import STAGES
from evergreen.units import ConnectionId, Duration

Severity = Literal["info", "warning", "critical"]


def _limited(stage: str) -> str:
    if stage not in (names := [known.name for known in STAGES if known.limited]):
        raise ValueError(f"must be one of {', '.join(names)}")
    return stage


LimitedStage = Annotated[str, AfterValidator(_limited)]
"""The name of a stage whose runs may be limited."""


class Receiver(Described):
    """A connection (e-mail, Slack or a webhook) that is told of alerts from a severity on."""

    conn_id: ConnectionId
    at_least: Severity = "warning"


class Alerts(Described):
    """Who is told, and of what time runs out.

    `deadline` is the hour, in the pipeline's time zone, by which a night must be monitored, `limits` how long
    a run of a stage may take.
    """

    to: tuple[Receiver, ...] = ()
    deadline: time | None = None
    limits: dict[LimitedStage, Duration] = {}
