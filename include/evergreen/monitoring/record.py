"""The monitoring record of one scored partition: a row of the lake table `monitoring`."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
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
        ("drifted_share", pa.float64()),
        ("drift", pa.string()),
        ("age", pa.int64()),
        ("history", pa.int64()),
        ("retrain", pa.bool_()),
        ("reason", pa.string()),
        ("evidence", pa.string()),
    ]
)
_TEXT = ("drift", "evidence")


@dataclass(frozen=True)
class Record:
    """What was measured on one partition.

    `error` is the training metric over the `labelled` rows and `promised` the same metric of the champion's
    hold-out; None where there are no labels. `level` and `promised_level` are the mean absolute target of
    the same rows (regression). `drift` holds, for each feature and for the predictions, what
    `FeatureDrift.to_dict` gives. `age` counts the published partitions since the champion's as-of, this one
    included; `history` those in the training window that ends with this partition.
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
    texts = {name: json.dumps(row[name], sort_keys=True, allow_nan=False) for name in _TEXT}
    return pa.Table.from_pylist([{**row, **texts}], schema=SCHEMA)


def records_in(table: pa.Table) -> list[Record]:
    """The records of a monitoring table, oldest first."""
    names = [name.name for name in fields(Record)]
    rows = sorted(table.to_pylist(), key=lambda row: str(row[PARTITION]))
    return [
        Record(**{**{name: row[name] for name in names}, "drift": json.loads(row["drift"])}) for row in rows
    ]


def decisions_in(table: pa.Table) -> list[Decision]:
    """The decisions of a monitoring table, oldest first."""
    rows = sorted(table.to_pylist(), key=lambda row: str(row[PARTITION]))
    return [
        Decision(row[PARTITION], row["retrain"], row["reason"], json.loads(row["evidence"])) for row in rows
    ]
