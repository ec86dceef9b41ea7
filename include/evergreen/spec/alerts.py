"""Who is told, of what, and by when a night must be done."""

from __future__ import annotations

from datetime import time
from typing import Literal

from evergreen.description import Described
from evergreen.units import ConnectionId, Duration

Severity = Literal["info", "warning", "critical"]
Stage = Literal["ingest", "score", "monitor", "train"]


class Receiver(Described):
    """A connection (e-mail, Slack or a webhook) that is told of alerts from a severity on."""

    conn_id: ConnectionId
    at_least: Severity = "warning"


class Alerts(Described):
    """Who is told, and of what time runs out.

    `deadline` is the hour (UTC) by which a night must be monitored, `limits` how long a run of a stage may
    take.
    """

    to: tuple[Receiver, ...] = ()
    deadline: time | None = None
    limits: dict[Stage, Duration] = {}
