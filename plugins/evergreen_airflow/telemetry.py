"""Tells figures to Airflow's own metrics: whatever collects them (OpenTelemetry, StatsD) has them too."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evergreen_airflow.figures import Told

_log = logging.getLogger(__name__)


def tell(pipeline: str, *told: Iterable[Told]) -> None:
    """Set the gauge of each figure, tagged with the pipeline; what has no finite value is left out.

    Figures are told at the end of a task, when its work is done: an error here is a warning in the log and
    never fails the task.
    """
    try:
        from airflow.sdk.observability.stats import Stats

        for one in chain(*told):
            if one.value is not None and math.isfinite(one.value):
                Stats.gauge(one.figure.name, float(one.value), tags={"pipeline": pipeline, **one.tags})
    except Exception as error:  # noqa: BLE001 - each kind of metrics has errors of its own
        _log.warning("%s: Airflow's metrics do not have the figures of this task: %s", pipeline, error)
