"""Metrics: each defined in one place, all in one registry. docs/metrics.md lists them."""

# These modules register what they define.
from evergreen.metrics import clustering, regression  # noqa: F401
from evergreen.metrics.classification import COST
from evergreen.metrics.costs import Costs
from evergreen.metrics.metric import (
    METRICS,
    Metric,
    MetricName,
    metric_named,
    metrics_of,
    register,
    usual_metric,
)

__all__ = [
    "COST",
    "METRICS",
    "Costs",
    "Metric",
    "MetricName",
    "metric_named",
    "metrics_of",
    "register",
    "usual_metric",
]
