"""What `evergreen check` finds in the source, before anything is ingested."""

from __future__ import annotations

import time

import pyarrow as pa
import pytest

from evergreen.ingestion import against_source
from evergreen.ingestion.against_source import look_within, mismatches
from evergreen.pipeline import Pipeline
from evergreen.validation.suite import load_suite
from tests.unit.two_pipelines import DAILY

WHOLE = DAILY.replace('"{partition}.csv"', "all.csv")


@pytest.fixture
def described(pipelines, configured):
    """Writes the pipeline `daily`, which reads one file with all of history."""

    def write(changes: dict[str, str], suite: str = "[]") -> Pipeline:
        text = WHOLE
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        (pipelines / "daily" / "pipeline.yaml").write_text(text)
        (pipelines / "daily" / "expectations.yaml").write_text(suite)
        (pipelines / "daily" / "all.csv").write_text("at,x,y,kind\n2011-01-01T00:00:00Z,1.5,2,a\n")
        return Pipeline.open("daily", storage=configured)

    return write


def sources_of(document) -> dict[str, str]:
    found = [one for one in document["checks"] if one["check"].startswith("source") and not one["ok"]]
    return {one["check"]: one["detail"] for one in found}


@pytest.mark.parametrize(
    ("changes", "suite", "wanted"),
    [
        ({"target: y": "target: yy"}, "[]", {"source: target": "the rows have no column 'yy' (nearest: y)"}),
        (
            {"target: y": "target: kind"},
            "[]",
            {"source: target": "'kind' is string and a regression predicts a number"},
        ),
        ({"target: y": "key: [knd]\ntarget: y"}, "[]", {"source: key.0": "nearest: kind"}),
        (
            {"target: y": "target: y\nfeatures: {columns: [x, knd]}"},
            "[]",
            {"source: features.columns.1": "the rows have no column 'knd' (nearest: kind)"},
        ),
        (
            {"metric: mae": "metric: mae\n  weight: wt"},
            "[]",
            {"source: training.weight": "there: at, x, y, kind"},
        ),
        (
            {"target: y": "target: y\ngate: {slices: [kin]}"},
            "[]",
            {"source: gate.slices.0.column": "nearest: kind"},
        ),
        (
            {"target: y": "target: y"},
            "- expect_column_values_to_not_be_null: {column: xx}\n",
            {"source: expectations.yaml: line 1: entry 1": "(xx): the rows have no column 'xx' (nearest: x)"},
        ),
        (
            {"target: y": "target: y"},
            "- expect_column_values_to_be_in_set: {column: x, value_set: [a]}\n",
            {"source: expectations": "'a' does not fit column 'x' of type double"},
        ),
        (
            {"time_column: at": "time_column: t"},
            "[]",
            {"source": "all.csv has no column 't' (there: at, x, y, kind)"},
        ),
        ({"all.csv": "al.csv"}, "[]", {"source": "al.csv cannot be read (No such file or directory)"}),
    ],
)
def test_what_the_source_does_not_have_is_found_by_key_path(described, evergreen, changes, suite, wanted):
    described(changes, suite)
    found = sources_of(evergreen.document("check", "daily", "--source", exit_code=1))
    assert list(found) == list(wanted)
    for where, detail in wanted.items():
        assert detail in found[where]


def test_what_is_right_is_shown_column_by_column(described, evergreen):
    described({})
    checks = {one["check"]: one for one in evergreen.document("check", "daily", "--source")["checks"]}
    assert checks["source"]["detail"] == (
        "2011-01-01: 1 row looked at: at time (time_column), x double, y double (target), kind string"
    )
    none = evergreen.document("check", "daily", "--no-source")["checks"]
    assert "source" not in {one["check"] for one in none}


def test_names_that_may_be_features_are_left_to_the_training(described):
    spec = described(
        {"target: y": 'features: {function: "features.py:build"}\ntarget: y\ngate: {slices: [made]}'}
    ).spec
    schema = pa.schema([("at", pa.timestamp("us", "UTC")), ("y", pa.int64())])
    assert list(mismatches(spec, load_suite(spec), schema)) == []


def test_a_source_that_does_not_answer_is_not_waited_for(described, monkeypatch):
    pipeline = described({})
    monkeypatch.setattr(against_source, "look_at_sources", lambda _: time.sleep(1))
    assert look_within(pipeline, 0.001) is None


def test_a_partition_that_may_not_be_there_yet_is_no_fault(described):
    pipeline = described({"all.csv": '"none-{partition}.csv"'})
    assert look_within(pipeline, 60) is None
