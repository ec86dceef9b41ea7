"""What happened to a pipeline, as DataFrames. Their columns are described at `evergreen.Pipeline`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from evergreen.lake import PARTITION, Table
from evergreen.monitoring.record import SCHEMA, figures
from evergreen.registry.overview import overviews
from evergreen.validation.quarantine import read_quarantine

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline

DECISIONS = (
    PARTITION,
    "version",
    "rows",
    "labelled",
    "metric",
    "error",
    "promised",
    "metrics",
    "coverage",
    "bias",
    "estimated",
    "drifted_share",
    "age",
    "retrain",
    "reason",
    "evidence",
)
VERSIONS = ("version", "as_of", "state", "at", "by", "reason", "problem")
QUARANTINE = (PARTITION, "id", "expectation", "reason", "place", "values", "text")


def decisions(pipeline: Pipeline) -> pd.DataFrame:
    """See `evergreen.Pipeline.decisions`."""
    schema = pa.schema([(PARTITION, pa.string()), *SCHEMA])
    found = pipeline.lake.find(Table.MONITORING) or schema.empty_table()
    # A table that an older release wrote has fewer columns.
    columns = {
        name: found.column(name)
        if name in found.column_names
        else pa.nulls(len(found), schema.field(name).type)
        for name in DECISIONS
    }
    frame: pd.DataFrame = pa.table(columns).to_pandas()
    return frame.assign(
        metrics=_objects(figures(json.loads(text or "{}")) for text in columns["metrics"].to_pylist()),
        coverage=_objects(json.loads(text or "[]") for text in columns["coverage"].to_pylist()),
        evidence=_objects(json.loads(text) for text in frame["evidence"]),
    )


def importance(explanation: Mapping[str, Any]) -> pd.DataFrame:
    """See `evergreen.Model.importance`; `explanation` is the content of a version's `explanation.json`."""
    losses, moved = explanation.get("importance") or {}, explanation.get("contributions") or {}
    table = pd.DataFrame(losses.get("features", []), columns=["name", "loss", "spread"])
    if moved:
        sizes = pd.DataFrame(moved["features"], columns=["name", "size", "direction"])
        table = sizes.rename(columns={"size": "contribution"}).merge(table, how="left", on="name")
    table = table.set_index("name").astype("float64")
    table.attrs = {"metric": explanation["metric"], **({"unit": moved["unit"]} if moved else {})}
    return table


def versions(pipeline: Pipeline) -> pd.DataFrame:
    """See `evergreen.Pipeline.versions`."""
    found = overviews(pipeline.registry)
    metrics = list(dict.fromkeys(name for one in found for name in one.metrics))
    columns = {name: [getattr(one, name) for one in found] for name in VERSIONS}
    texts = {name: pd.Series(columns[name], dtype="str") for name in VERSIONS if name not in ("at", "reason")}
    return pd.DataFrame(
        {
            **texts,
            "at": pd.to_datetime(pd.Series(columns["at"], dtype="str"), utc=True).dt.as_unit("us"),
            "reason": _objects(columns["reason"]),
            **{
                name: pd.Series([one.metrics.get(name) for one in found], dtype="float64") for name in metrics
            },
        }
    )[[*VERSIONS, *metrics]]


def quarantine(pipeline: Pipeline, partition: str | None) -> pd.DataFrame:
    """See `evergreen.Pipeline.quarantine`."""
    if partition is not None:
        pipeline.spec.calendar.check(partition)
    found = read_quarantine(pipeline.lake, partition)
    texts = {
        PARTITION: [row.partition for row in found],
        "id": [row.id for row in found],
        "expectation": [row.expectation for row in found],
        "reason": [row.reason for row in found],
        "place": [row.place for row in found],
        "text": [row.row for row in found],
    }
    columns = {name: pd.Series(values, dtype="str") for name, values in texts.items()}
    return pd.DataFrame({**columns, "values": _objects(row.values for row in found)})[[*QUARANTINE]]


def _objects(values: Iterable[object]) -> pd.Series:
    return pd.Series(list(values), dtype=object)
