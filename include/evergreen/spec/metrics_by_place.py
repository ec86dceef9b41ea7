"""The metrics that a description names."""

from __future__ import annotations

from evergreen.spec.gate import Gate
from evergreen.spec.monitoring import Monitoring
from evergreen.spec.training import Training


def metrics_by_place(training: Training, gate: Gate, monitoring: Monitoring) -> dict[str, str]:
    """The metrics that a description names, by the key path of each."""
    return {
        "training.metric": training.metric,
        **{f"gate.limits.{name}": name for name in gate.limits},
        **{f"monitoring.metrics.{number}": name for number, name in enumerate(monitoring.metrics)},
        **{f"gate.fairness.{n}.metric": rule.metric for n, rule in enumerate(gate.fairness) if rule.metric},
    }
