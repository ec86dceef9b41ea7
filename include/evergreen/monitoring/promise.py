"""The promise of a version beside that of the champion before it. Pure.

Monitoring measures a champion against its own promise. A model that was trained right after a break, on rows
most of which came before it, may promise an error as large as that of the break: then no measurement is worse
than promised, and nothing says that the model is bad. So its promise is compared with its predecessor's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from evergreen.signals.performance import PERFORMANCE, beyond_tolerance, tolerated
from evergreen.signals.words import against
from evergreen.spec import Spec


@dataclass(frozen=True)
class Predecessor:
    """The champion that a version was to replace, and the metrics that it promised, by name."""

    version: str
    promised: Mapping[str, float | None]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def promised_before(spec: Spec, before: Predecessor | None) -> dict[str, Any]:
    """What a record keeps of it: the `version` and the training metric that it `promised`; {} without one."""
    if before is None:
        return {}
    return {"version": before.version, "promised": before.promised.get(spec.training.metric)}


def much_worse(spec: Spec, promised: float | None, before: Mapping[str, Any]) -> bool:
    """Whether a promise of the training metric is worse than the one `before` by more than the tolerance.

    The tolerance is that of `monitoring.performance`. False if one of them is unknown.
    """
    return beyond_tolerance(spec.metric, spec.monitoring, promised, before.get("promised"))


def told(spec: Spec, promised: float | None, before: Mapping[str, Any]) -> str:
    """A clause on a promise that is much worse than the one `before`; empty if it is not."""
    if promised is None or not much_worse(spec, promised, before):
        return ""
    tolerance = tolerated(spec.metric, PERFORMANCE.of(spec.monitoring).tolerance)
    figures = against(promised, before["promised"])
    return f"{spec.metric.words} {figures} by its predecessor {before['version']}: much worse ({tolerance})"
