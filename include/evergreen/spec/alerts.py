"""Alert receivers, and the time limits of stages and nights."""

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
    """A connection (e-mail, Slack or a webhook) that receives alerts of a minimum severity."""

    conn_id: ConnectionId
    at_least: Severity = "warning"


class Alerts(Described):
    """Who receives alerts, and the limits on time.

    `deadline` is the time of day, in the pipeline's time zone, by which a night must be monitored; `limits`
    are the longest allowed runs by stage.
    """

    to: tuple[Receiver, ...] = ()
    deadline: time | None = None
    limits: dict[LimitedStage, Duration] = {}
