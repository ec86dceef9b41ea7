"""The measurements of one scored partition, which the signals read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evergreen.metrics.part import Part


@dataclass(frozen=True)
class Record:
    """The measurements of one partition.

    `error` is the training metric over the `labelled` rows and `promised` the same metric of the champion's
    hold-out; None where there are no labels. `level` and `promised_level` are the mean absolute target of
    the same rows (regression). `usual` is the mean and `spread` the widened standard deviation of the errors
    of the hold-out's partitions (see `evergreen.signals.sequential`), None where there are too few. `bias`
    is the mean of prediction less actual value over the labelled rows and `absolute` that of its absolute
    value, whatever the training metric (regression). `estimated` is the metric
    estimated from confidences, without labels (see `evergreen.monitoring.estimate`).

    `metrics` holds by name, of the training metric and the further ones that are asked for, the `value` over
    the labelled rows, what was `promised`, in words why it is `undefined` (None if it is not), what is `kept`
    to pool it with other nights, and the value `pooled` over the window. `window` says of that its `first`
    partition, how many `partitions` and how many labelled `rows` it has. `slices` holds by `column=value` the
    `rows`, the `error` of the training metric and its `pooled` one, and what was `promised`. `fairness` holds
    for each rule of `gate.fairness` what `evergreen.monitoring.fairness` gives.

    `coverage` holds for each level of intervals or sets, the main one first, what
    `evergreen.intervals.coverage.Covered.to_dict` gives of the labelled rows, and the `correlation` of two
    rows of a partition by the hold-out (None where it is not known); [] where none were published.

    `drift` holds by feature, and `prediction_drift` for the predictions, what `FeatureDrift.to_dict` gives;
    `contribution_drift` holds the same by feature for what it contributed to the predictions, and how far the
    mean of that has `moved` from the hold-out's, {} where contributions are not published;
    `held_against` says whether the features are compared with the `season`, what is `trailing` the partition,
    or the whole `window` (see `evergreen.monitoring.season`), None where that is not known;
    `joint` what `JointDrift.to_dict` gives, None if it has no limit. `counts` are the partition's own
    rows in the bins of the champion's reference, by feature (see `evergreen.drift.binning`). `health` is
    what `evergreen.monitoring.health` gives. `skew` is what `evergreen.skew.compare.Skew.figures` gives of
    logged requests, {} where there are none, and `problem` in words where it could not be measured.
    `trial` is what `evergreen.monitoring.trial` keeps of a challenger beside the champion, {} where none is
    on trial. `before` is the `version` that the champion was
    to replace and what that one `promised`, {} where that is not known. `age` counts the published
    partitions since the champion's as-of, this one included; `history` those in the training window that ends
    with this partition.
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
    absolute: float | None = None
    estimated: float | None = None
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)
    window: dict[str, Any] = field(default_factory=dict)
    slices: dict[str, dict[str, Any]] = field(default_factory=dict)
    fairness: list[dict[str, Any]] = field(default_factory=list, repr=False)
    coverage: list[dict[str, Any]] = field(default_factory=list, repr=False)
    prediction_drift: dict[str, Any] | None = None
    contribution_drift: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)
    joint: dict[str, Any] | None = None
    counts: dict[str, list[int]] = field(default_factory=dict, repr=False)
    health: dict[str, Any] = field(default_factory=dict)
    skew: dict[str, Any] = field(default_factory=dict)
    trial: dict[str, Any] = field(default_factory=dict, repr=False)
    before: dict[str, Any] = field(default_factory=dict)
    held_against: str | None = None

    def part(self, name: str) -> Part | None:
        """A metric of the labelled rows, to be pooled with that of other nights; None where there is none.

        Of the training metric an older release kept the value alone.
        """
        found = self.metrics.get(name)
        if found is not None:
            return part_in(self.labelled, found)
        known = self.labelled and name == self.metric and self.error is not None
        return Part(self.labelled, self.error) if known else None


def part_in(rows: int, found: Mapping[str, Any]) -> Part | None:
    """What is recorded of a metric of so many labelled rows, to be pooled with others."""
    value, kept = found.get("value"), found.get("kept")
    return Part(rows, value, kept) if rows and (value is not None or kept is not None) else None
