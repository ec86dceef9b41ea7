"""The metrics that a description names."""

from __future__ import annotations

from collections.abc import Mapping

from evergreen.metrics import metric_named, metrics_of
from evergreen.spec.gate import Gate
from evergreen.spec.monitoring import Monitoring
from evergreen.spec.training import Training
from evergreen.task import Task


def metrics_by_place(training: Training, gate: Gate, monitoring: Monitoring) -> dict[str, str]:
    """The metrics that a description names, by the key path of each."""
    return {
        "training.metric": training.metric,
        **{f"gate.limits.{name}": name for name in gate.limits},
        **{f"monitoring.metrics.{number}": name for number, name in enumerate(monitoring.metrics)},
        **{f"gate.fairness.{n}.metric": rule.metric for n, rule in enumerate(gate.fairness) if rule.metric},
    }


def check_metrics(task: Task, named: Mapping[str, str], training: Training) -> None:
    """Raise `ValueError`, naming its place, for a metric that this task and description do not have."""
    allowed = [metric.name for metric in metrics_of(task)]
    for where, name in named.items():
        if name not in allowed:
            raise ValueError(f"{where}: '{name}' is not a metric of {task}: {', '.join(allowed)}")
        if metric_named(name).of_costs and training.costs is None:
            raise ValueError(
                f"{where}: '{name}' needs what wrong decisions cost: write training.decision.costs"
            )
