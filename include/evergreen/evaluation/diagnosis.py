"""How a model errs: residuals, confusion, reliability of probabilities, the shape of clusters. Pure."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evergreen.evaluation.calibration import reliability
from evergreen.evaluation.held_rows import drawn
from evergreen.metrics.classes import ordered_classes
from evergreen.metrics.predictions import Predictions

_POINTS = 400  # of a scatter
_BARS = 31  # of a histogram
_PARTITIONS = 90  # of a curve over time: neighbours are taken together where there are more
_CLASSES = 12  # of a confusion matrix: the rarest are taken together where there are more
_OTHERS = "(others)"
_CLUSTERS, _MARKS = 20, 3


def residuals(
    actual: NDArray[Any], predicted: NDArray[Any], partitions: NDArray[Any] | None, seed: int
) -> dict[str, Any]:
    """The residuals (actual - predicted), in units of the target.

    `points` are pairs of prediction and residual, at most 400 drawn at random; `histogram` counts the middle
    98 % in bars of equal width and the rest as `outside`; `over_time` is the mean residual of each partition.
    """
    residual = np.asarray(actual, float) - np.asarray(predicted, float)
    index = drawn(np.arange(len(residual)), _POINTS, seed)
    points = [[float(predicted[row]), float(residual[row])] for row in index]
    return {
        "mean": float(residual.mean()) if len(residual) else math.nan,
        "median": float(np.median(residual)) if len(residual) else math.nan,
        "points": points,
        "histogram": _histogram(residual),
        "over_time": None if partitions is None else _over_time(residual, partitions),
    }


def confusion(actual: NDArray[Any], predicted: NDArray[Any]) -> dict[str, Any]:
    """Rows by true class (down) and predicted class (across); at most 12, the rarest taken together."""
    true, said = np.asarray(actual).astype(str), np.asarray(predicted).astype(str)
    labels, counts = np.unique(np.concatenate([true, said]), return_counts=True)
    if len(labels) > _CLASSES:
        commonest = labels[np.argsort(-counts, kind="stable")[: _CLASSES - 1]]
        true, said = (np.where(np.isin(values, commonest), values, _OTHERS) for values in (true, said))
        labels = np.array([*sorted(commonest), _OTHERS])
    order = {label: number for number, label in enumerate(labels.tolist())}
    table = np.zeros((len(labels), len(labels)), dtype=int)
    np.add.at(table, ([order[label] for label in true], [order[label] for label in said]), 1)
    return {"labels": labels.tolist(), "counts": table.tolist()}


def reliability_curve(
    actual: NDArray[Any],
    predictions: Predictions,
    weights: NDArray[np.float64] | None,
    positive: Any = None,
) -> dict[str, Any] | None:
    """The share that happened against the predicted one, in the bins of `evergreen.evaluation.calibration`.

    With two classes the probability is that of the positive one, `of`; with more that of the most likely
    (None). Each bin has the mean `predicted`, the share `observed` with its interval of 95 % (Wilson 1927),
    and its `rows`. None without probabilities.
    """
    bins = reliability(actual, predictions, weights, positive)
    if not bins:
        return None
    classes = predictions.classes
    described = []
    for group in bins:
        low, high = _wilson(group.observed, group.rows)
        described.append(
            {
                "predicted": group.predicted,
                "observed": group.observed,
                "low": low,
                "high": high,
                "rows": group.rows,
            }
        )
    return {
        "of": str(ordered_classes(classes, positive)[1]) if len(classes) == 2 else None,
        "bins": described,
    }


def cluster_shape(space: NDArray[np.float64], labels: NDArray[Any], names: list[str]) -> dict[str, Any]:
    """Sizes of the clusters, what marks each, and their rows in the plane of the two main axes (PCA).

    A cluster's `marks` are the columns of the space (standard deviations from the mean of the training rows)
    in which its mean is furthest out. At most 20 clusters, the largest first, and 400 points.
    """
    found, counts = np.unique(labels, return_counts=True)
    largest = np.argsort(-counts, kind="stable")
    named = names if len(names) == space.shape[1] else [f"axis {n + 1}" for n in range(space.shape[1])]
    clusters = []
    for number in largest[:_CLUSTERS]:
        centre = space[labels == found[number]].mean(axis=0)
        furthest = np.argsort(-np.abs(centre), kind="stable")[:_MARKS]
        marks = [{"name": named[column], "mean": float(centre[column])} for column in furthest]
        clusters.append({"name": str(found[number]), "rows": int(counts[number]), "marks": marks})
    return {"count": len(found), "clusters": clusters, **_plane(space, labels, found[largest])}


def _plane(space: NDArray[np.float64], labels: NDArray[Any], order: NDArray[Any]) -> dict[str, Any]:
    from sklearn.decomposition import PCA

    if min(space.shape) < 2 or not np.isfinite(space).all():
        return {"points": None, "explained": None}
    axes = PCA(n_components=2, svd_solver="full").fit(space)
    index = drawn(np.arange(len(space)), _POINTS, 0)
    place = axes.transform(space[index])
    rank = {label: number for number, label in enumerate(order.tolist())}
    points = [
        [float(x), float(y), rank[label]] for (x, y), label in zip(place, labels[index].tolist(), strict=True)
    ]
    return {"points": points, "explained": axes.explained_variance_ratio_.tolist()}


def _histogram(values: NDArray[np.float64]) -> dict[str, Any] | None:
    if not len(values) or not np.isfinite(values).all():
        return None
    low, high = np.quantile(values, [0.01, 0.99])
    inside = values[(values >= low) & (values <= high)]
    bars = int(np.clip(math.sqrt(len(values)), 5, _BARS))
    counts, edges = np.histogram(inside, bins=bars)
    return {
        "low": float(edges[0]),
        "high": float(edges[-1]),
        "counts": counts.tolist(),
        "outside": len(values) - len(inside),
    }


def _over_time(residual: NDArray[np.float64], partitions: NDArray[Any]) -> list[dict[str, Any]]:
    keys, place = np.unique(partitions.astype(str), return_inverse=True)
    together = math.ceil(len(keys) / _PARTITIONS)
    table = pd.DataFrame({"residual": residual, "group": place // together})
    means = table.groupby("group")["residual"].agg(["mean", "size"])
    return [
        {"partition": str(keys[int(group) * together]), "mean": float(mean), "rows": int(rows)}
        for group, mean, rows in zip(means.index, means["mean"], means["size"], strict=True)
    ]


def _wilson(share: float, rows: int, z: float = 1.959964) -> tuple[float, float]:
    centre = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows)) / (1 + z * z / rows)
    return max(0.0, centre - half), min(1.0, centre + half)
