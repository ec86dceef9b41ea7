"""The kinds of problem, and the metrics each is measured by."""

from __future__ import annotations

from enum import StrEnum


class Task(StrEnum):
    """The kind of problem a model solves."""

    REGRESSION = "regression"
    CLASSIFICATION = "classification"
    CLUSTERING = "clustering"


METRICS: dict[Task, tuple[str, ...]] = {
    Task.REGRESSION: ("mae", "rmse", "r2", "mape"),
    Task.CLASSIFICATION: (
        "accuracy",
        "precision",
        "recall",
        "f1",
        "roc_auc",
        "pr_auc",
        "log_loss",
        "brier",
    ),
    Task.CLUSTERING: ("silhouette", "calinski_harabasz"),
}
LOWER_IS_BETTER = frozenset({"mae", "rmse", "mape", "log_loss", "brier"})
OF_PROBABILITIES = frozenset({"log_loss", "brier", "roc_auc", "pr_auc"})
"""Metrics of predicted probabilities: labels alone do not give them."""
