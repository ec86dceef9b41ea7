"""The data window and its quality: rows, partitions, missing values, ranges, the target's distribution."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evergreen.lake import PARTITION
from evergreen.spec import Spec, Task

if TYPE_CHECKING:
    from evergreen.training_set.assemble import TrainingSet

_GROUPS = 90  # of partitions along the window
_BARS = 24
_VALUES = 8  # of a feature that is no number
_CLASSES = 30
_NAMED = 10  # missing partitions


def window_quality(spec: Spec, training_set: TrainingSet) -> dict[str, Any]:
    """What the challenger was trained and measured on; `known` are the rows it was fit on, `held` the others.

    `over_time` describes the window in at most 90 stretches of partitions. `missing` are the partitions
    between its first and last that have no rows, which a sample does not tell. `features` has for each
    feature the share of nulls, the range (or the most frequent values) in the known rows, and the share of
    held rows `beyond` that range.
    """
    held = training_set.holdout
    timed, drawn = spec.calendar.has_time, spec.training.sample is not None
    target = training_set.target
    numeric = target is not None and spec.task is Task.REGRESSION
    return {
        "known": int((~held).sum()),
        "held": int(held.sum()),
        "missing": _missing(spec, training_set.rows[PARTITION]) if timed and not drawn else None,
        "over_time": _over_time(training_set, numeric) if timed else None,
        "features": [
            _feature(str(name), training_set.features[name], held) for name in training_set.features
        ],
        "target": None if target is None else {"name": spec.target, **_target(target, held, numeric)},
    }


def _missing(spec: Spec, partitions: pd.Series) -> dict[str, Any]:
    there = set(partitions.unique())
    gone = [key for key in spec.calendar.between(min(there), max(there)) if key not in there]
    return {"count": len(gone), "first": gone[:_NAMED]}


def _over_time(training_set: TrainingSet, numeric: bool) -> list[dict[str, Any]]:
    codes, keys = pd.factorize(training_set.rows[PARTITION], sort=True)
    together = math.ceil(len(keys) / _GROUPS)
    values = training_set.target if numeric and training_set.target is not None else None
    table = pd.DataFrame(
        {
            "group": codes // together,
            "held": training_set.holdout,
            "target": np.nan if values is None else values.to_numpy(float),
        }
    )
    found = table.groupby("group").agg(rows=("held", "size"), held=("held", "mean"), mean=("target", "mean"))
    return [
        {
            "partition": str(keys[number * together]),
            "rows": int(rows),
            "held": bool(share > 0.5),
            "mean": float(mean),
        }
        for number, (rows, share, mean) in enumerate(zip(*(found[name] for name in found), strict=True))
    ]


def _feature(name: str, values: pd.Series, held: NDArray[np.bool_]) -> dict[str, Any]:
    known, unseen = values[~held], values[held]
    quality = {
        "name": name,
        "nulls": float(known.isna().mean()),
        "nulls_held": float(unseen.isna().mean()),
    }
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_datetime64_any_dtype(values):
        low, high = known.min(), known.max()
        beyond = ((unseen < low) | (unseen > high)).fillna(False).mean()
        if pd.api.types.is_numeric_dtype(values):
            return {**quality, "low": float(low), "high": float(high), "beyond": float(beyond)}
        return {**quality, "low": str(low), "high": str(high), "beyond": float(beyond)}
    counts = known.astype("string").value_counts()
    new = ~unseen.astype("string").isin(counts.index) & unseen.notna()
    return {
        **quality,
        "values": [str(value) for value in counts.index[:_VALUES]],
        "distinct": len(counts),
        "beyond": float(new.mean()),
    }


def _target(target: pd.Series, held: NDArray[np.bool_], numeric: bool) -> dict[str, Any]:
    if not numeric:
        known, unseen = (target[rows].astype("string").value_counts() for rows in (~held, held))
        names = known.add(unseen, fill_value=0).sort_values(ascending=False, kind="stable").index
        classes = [
            {"name": str(name), "known": int(known.get(name, 0)), "held": int(unseen.get(name, 0))}
            for name in names[:_CLASSES]
        ]
        return {"classes": classes, "count": len(names)}
    values = target.to_numpy(float)
    edges = np.histogram_bin_edges(values, bins=_BARS)
    counts = {
        part: np.histogram(values[rows], bins=edges)[0].tolist()
        for part, rows in (("known", ~held), ("held", held))
    }
    spread = {part: _quartiles(values[rows]) for part, rows in (("known", ~held), ("held", held))}
    return {"low": float(edges[0]), "high": float(edges[-1]), "counts": counts, "quartiles": spread}


def _quartiles(values: NDArray[np.float64]) -> dict[str, float]:
    if not len(values):
        return {}
    low, first, median, third, high = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
    return {
        "min": low,
        "25 %": first,
        "median": median,
        "mean": float(values.mean()),
        "75 %": third,
        "max": high,
    }
