"""Metrics: each in one place, all in one registry. See docs/metrics.md for those there are."""

# These modules register what they define.
from evergreen.metrics import classification, clustering, regression  # noqa: F401
from evergreen.metrics.metric import METRICS, Metric, metric_named, metrics_of, register

__all__ = ["METRICS", "Metric", "metric_named", "metrics_of", "register"]
