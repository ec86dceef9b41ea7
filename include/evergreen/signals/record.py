"""The measurements of one scored partition, which the signals read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Record:
    """The measurements of one partition.

    `error` is the training metric over the `labelled` rows and `promised` the same metric of the champion's
    hold-out; None where there are no labels. `level` and `promised_level` are the mean absolute target of
    the same rows (regression). `usual` is the mean and `spread` the widened standard deviation of the errors
    of the hold-out's partitions (see `evergreen.signals.sequential`), None where there are too few. `bias`
    is the mean of prediction less actual value over the labelled rows (regression). `estimated` is the metric
    estimated from confidences, without labels (see `evergreen.monitoring.estimate`). `slices` holds by
    `column=value` the `rows`, the `error` and the `promised` error.

    `drift` holds by feature, and `prediction_drift` for the predictions, what `FeatureDrift.to_dict` gives;
    `joint` what `JointDrift.to_dict` gives, None if it has no limit. `counts` are the partition's own
    rows in the bins of the champion's reference, by feature (see `evergreen.drift.binning`). `health` is
    what `evergreen.monitoring.health` gives. `age` counts the published partitions since the champion's
    as-of, this one included; `history` those in the training window that ends with this partition.
    """

    partition: str
    version: str
    rows: int
    labelled: int
    metric: str
    error: float | None
    promised: float | None
    level: float | None
    promised_level: float | None
    drifted_share: float
    drift: dict[str, dict[str, Any]]
    age: int
    history: int
    usual: float | None = None
    spread: float | None = None
    bias: float | None = None
    estimated: float | None = None
    slices: dict[str, dict[str, Any]] = field(default_factory=dict)
    prediction_drift: dict[str, Any] | None = None
    joint: dict[str, Any] | None = None
    counts: dict[str, list[int]] = field(default_factory=dict, repr=False)
    health: dict[str, Any] = field(default_factory=dict)
