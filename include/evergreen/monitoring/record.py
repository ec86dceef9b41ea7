"""The monitoring record of one scored partition: a row of the lake table `monitoring`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import Any

import pyarrow as pa

from evergreen.lake import PARTITION

SCHEMA = pa.schema(
    [
        ("version", pa.string()),
        ("rows", pa.int64()),
        ("labelled", pa.int64()),
        ("metric", pa.string()),
        ("error", pa.float64()),
        ("promised", pa.float64()),
        ("level", pa.float64()),
        ("promised_level", pa.float64()),
        ("usual", pa.float64()),
        ("spread", pa.float64()),
        ("bias", pa.float64()),
        ("estimated", pa.float64()),
        ("slices", pa.string()),
        ("drifted_share", pa.float64()),
        ("drift", pa.string()),
        ("prediction_drift", pa.string()),
        ("joint", pa.string()),
        ("counts", pa.string()),
        ("health", pa.string()),
        ("age", pa.int64()),
        ("history", pa.int64()),
        ("retrain", pa.bool_()),
        ("reason", pa.string()),
        ("evidence", pa.string()),
    ]
)
_JSON = ("slices", "drift", "prediction_drift", "joint", "counts", "health")


@dataclass(frozen=True)
class Record:
    """What was measured on one partition.

    `error` is the training metric over the `labelled` rows and `promised` the same metric of the champion's
    hold-out; None where there are no labels. `level` and `promised_level` are the mean absolute target of
    the same rows (regression). `usual` is the mean and `spread` the widened standard deviation of the errors
    of the hold-out's partitions (see `evergreen.signals.sequential`), None where there are too few. `bias`
    is the mean of prediction less actual value over the labelled rows (regression). `estimated` is the metric
    as confidence estimates it, without labels (see `evergreen.monitoring.estimate`). `slices` holds by
    `column=value` the `rows`, the `error` and what was `promised`.

    `drift` holds by feature, and `prediction_drift` for the predictions, what `FeatureDrift.to_dict` gives;
    `joint` what `JointDrift.to_dict` gives, None where it is not asked for. `counts` are the partition's own
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


@dataclass(frozen=True)
class Decision:
    """Whether to retrain after a partition: `reason` says it in one sentence, `evidence` in figures."""

    partition: str
    retrain: bool
    reason: str
    evidence: dict[str, Any]


def to_table(record: Record, decision: Decision) -> pa.Table:
    """The row of the monitoring table, without the column `partition`, which the lake adds."""
    row = {
        **{name.name: getattr(record, name.name) for name in fields(record)},
        "retrain": decision.retrain,
        "reason": decision.reason,
        "evidence": decision.evidence,
    }
    texts = {name: json.dumps(row[name], sort_keys=True, allow_nan=False) for name in (*_JSON, "evidence")}
    return pa.Table.from_pylist([{**row, **texts}], schema=SCHEMA)


def records_in(table: pa.Table) -> list[Record]:
    """The records of a monitoring table, oldest first."""
    names = [name.name for name in fields(Record)]
    rows = sorted(table.to_pylist(), key=lambda row: str(row[PARTITION]))
    return [
        Record(**{name: json.loads(row[name]) if name in _JSON else row[name] for name in names})
        for row in rows
    ]


def decisions_in(table: pa.Table) -> list[Decision]:
    """The decisions of a monitoring table, oldest first."""
    rows = sorted(table.to_pylist(), key=lambda row: str(row[PARTITION]))
    return [
        Decision(row[PARTITION], row["retrain"], row["reason"], json.loads(row["evidence"])) for row in rows
    ]
