"""What happened, as DataFrames: columns and types are those described, with rows in them and without."""

from __future__ import annotations

import pandas as pd
import pytest

import evergreen
from evergreen.lake import Table
from evergreen.monitoring.record import decisions_in
from evergreen.pipeline import Pipeline
from tests.unit.front_door.conftest import SCORED

DECISIONS = {
    "partition": "str",
    "version": "str",
    "rows": "int64",
    "labelled": "int64",
    "metric": "str",
    "error": "float64",
    "promised": "float64",
    "metrics": "object",
    "coverage": "object",
    "bias": "float64",
    "estimated": "float64",
    "drifted_share": "float64",
    "age": "int64",
    "retrain": "bool",
    "reason": "str",
    "evidence": "object",
}
VERSIONS = {
    "version": "str",
    "as_of": "str",
    "state": "str",
    "at": "datetime64[us, UTC]",
    "by": "str",
    "reason": "object",
    "problem": "str",
}
QUARANTINE = {
    "partition": "str",
    "id": "str",
    "expectation": "str",
    "reason": "str",
    "place": "str",
    "values": "object",
    "text": "str",
}


def types(frame: pd.DataFrame) -> dict[str, str]:
    return {str(name): str(kind) for name, kind in frame.dtypes.items()}


def test_decisions(pipeline: evergreen.Pipeline, kiosk: Pipeline) -> None:
    found = pipeline.decisions()
    assert types(found) == DECISIONS
    assert found["partition"].tolist() == SCORED
    stored = decisions_in(kiosk.lake.read(Table.MONITORING))
    assert found["evidence"].tolist() == [decision.evidence for decision in stored]
    assert found["reason"].tolist() == [decision.reason for decision in stored]
    assert (found["labelled"] == 4).all()
    for row in found.itertuples():
        assert row.metrics["mae"]["value"] == row.error
        assert row.metrics["mae"]["promised"] == row.promised
        assert set(row.metrics["mae"]) == {"value", "promised", "undefined", "pooled"}
    assert found["error"].notna().all()


def test_versions(pipeline: evergreen.Pipeline, kiosk: Pipeline) -> None:
    found = pipeline.versions()
    champion = pipeline.champion()
    assert types(found) == VERSIONS | dict.fromkeys(champion.metrics, "float64")
    assert found["version"].tolist() == kiosk.registry.versions()
    assert found["state"].tolist() == ["refused", "champion"]
    assert found["as_of"].tolist() == [SCORED[2], SCORED[0]]
    assert found["mae"].iloc[1] == champion.metrics["mae"]
    assert found["reason"].iloc[1]["sentence"] == "a test asked for it"
    assert found["problem"].isna().all()
    assert found["at"].notna().all()


def test_quarantine(pipeline: evergreen.Pipeline) -> None:
    found = pipeline.quarantine()
    assert types(found) == QUARANTINE
    row, record = found.to_dict("records")
    assert row["values"] == {"at": "2024-01-20T22:00:00+00:00", "sold": -1}
    assert (record["values"], record["text"], record["place"]) == (None, "a,b,c", "20.csv:7")
    assert len(pipeline.quarantine("2024-01-20")) == 2
    assert len(pipeline.quarantine("2024-01-21")) == 0
    with pytest.raises(evergreen.PartitionError):
        pipeline.quarantine("today")


def test_where_nothing_happened_yet(pipeline: evergreen.Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERGREEN_STORAGE", "s3://front-door/empty")
    empty = evergreen.open("kiosk")
    assert (types(empty.decisions()), len(empty.decisions())) == (DECISIONS, 0)
    assert (types(empty.versions()), len(empty.versions())) == (VERSIONS, 0)
    assert (types(empty.quarantine()), len(empty.quarantine())) == (QUARANTINE, 0)
    assert empty.partitions() == []
