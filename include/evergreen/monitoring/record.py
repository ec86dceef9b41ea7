"""A row of the lake table `monitoring`: the record of a scored partition, and the decision after it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from evergreen.errors import NotFoundError
from evergreen.lake import PARTITION, Table
from evergreen.signals.record import Record
from evergreen.training_set.window import Change, change_in

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline

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
        ("absolute", pa.float64()),
        ("estimated", pa.float64()),
        ("metrics", pa.string()),
        ("window", pa.string()),
        ("slices", pa.string()),
        ("fairness", pa.string()),
        ("coverage", pa.string()),
        ("drifted_share", pa.float64()),
        ("drift", pa.string()),
        ("prediction_drift", pa.string()),
        ("contribution_drift", pa.string()),
        ("joint", pa.string()),
        ("counts", pa.string()),
        ("health", pa.string()),
        ("skew", pa.string()),
        ("trial", pa.string()),
        ("before", pa.string()),
        ("held_against", pa.string()),
        ("age", pa.int64()),
        ("history", pa.int64()),
        ("retrain", pa.bool_()),
        ("reason", pa.string()),
        ("evidence", pa.string()),
    ]
)
# Columns that an older release did not write.
_LATER = (
    *("metrics", "window", "fairness", "trial", "before", "held_against", "contribution_drift"),
    *("coverage", "skew"),
)
_JSON = (
    *("metrics", "window", "slices", "fairness", "drift", "prediction_drift", "joint", "counts", "health"),
    *("trial", "before", "contribution_drift", "coverage", "skew"),
)

WITHOUT_LABELS: Mapping[str, Any] = {
    "labelled": 0,
    "error": None,
    "bias": None,
    "absolute": None,
    "level": None,
    "metrics": {},
    "window": {},
    "slices": {},
    "fairness": [],
    "coverage": [],
    "trial": {},
}
"""The fields that labels fill in, of a record without any."""


@dataclass(frozen=True)
class Decision:
    """What to do after a partition: `reason` says it in one sentence, `evidence` in figures."""

    partition: str
    retrain: bool
    reason: str
    evidence: dict[str, Any]

    @property
    def promotes(self) -> str | None:
        """The version that is to be promoted because its trial is decided in its favour; None without one."""
        found = self.evidence.get("trial") or {}
        return found.get("version") if found.get("promotes") else None

    @property
    def change(self) -> Change | None:
        """The last break that is known; None without one."""
        return change_in({"evidence": self.evidence})


def figures(metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """A record's metrics for people: each without what is kept of it to pool it with other nights."""
    return {
        name: {part: value for part, value in found.items() if part != "kept"}
        for name, found in metrics.items()
    }


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


def monitored(pipeline: Pipeline, partition: str) -> tuple[Record, Decision]:
    """The stored record of a partition and the decision after it; raises `NotFoundError` without them."""
    table = pipeline.lake.find(Table.MONITORING, partition, partition)
    if table is None:
        raise NotFoundError(
            f"{pipeline.name} {partition}: this partition is not monitored: run evergreen monitor "
            f"{pipeline.name} --partition {partition}"
        )
    return records_in(table)[0], decisions_in(table)[0]


def records_in(table: pa.Table) -> list[Record]:
    """The records of a monitoring table, oldest first; an older release wrote fewer columns of them."""
    names = [name.name for name in fields(Record) if name.name in table.column_names]
    rows = sorted(table.to_pylist(), key=lambda row: str(row[PARTITION]))
    return [
        Record(
            **{
                name: json.loads(row[name]) if name in _JSON else row[name]
                for name in names
                if name not in _LATER or row[name] is not None
            }
        )
        for row in rows
    ]


def decisions_in(table: pa.Table) -> list[Decision]:
    """The decisions of a monitoring table, oldest first."""
    rows = sorted(table.to_pylist(), key=lambda row: str(row[PARTITION]))
    return [
        Decision(row[PARTITION], row["retrain"], row["reason"], json.loads(row["evidence"])) for row in rows
    ]
