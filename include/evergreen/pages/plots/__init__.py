"""Figures as inline SVG, drawn from the values of a version's explanation. No script, no dependency."""

from evergreen.pages.plots.choice import contribution_bars, importance_bars, loss_intervals, trial_scores
from evergreen.pages.plots.decision import threshold_curve
from evergreen.pages.plots.errors import (
    confusion_matrix,
    reliability_curve,
    residual_histogram,
    residuals_over_predictions,
    residuals_over_time,
)
from evergreen.pages.plots.nights import NightPoint, metric_by_night
from evergreen.pages.plots.rows import cluster_plane, cluster_sizes, target_distribution, target_over_time

__all__ = [
    "NightPoint",
    "cluster_plane",
    "cluster_sizes",
    "confusion_matrix",
    "contribution_bars",
    "importance_bars",
    "loss_intervals",
    "metric_by_night",
    "reliability_curve",
    "residual_histogram",
    "residuals_over_predictions",
    "residuals_over_time",
    "target_distribution",
    "target_over_time",
    "threshold_curve",
    "trial_scores",
]
