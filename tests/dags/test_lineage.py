"""What tasks read and wrote, in OpenLineage's terms; its provider is not installed, and nothing needs it."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pytest

from evergreen.evaluation.verdict import Outcome, Verdict
from evergreen.ingestion.publish import Published
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.scoring.score import Scored
from evergreen.spec import load_spec
from evergreen.storage import Storage
from evergreen.training.stage import Committed
from evergreen.validation.report import ExpectationResult, ValidationReport
from evergreen_airflow.lineage import (
    Data,
    Lineage,
    Looked,
    facets,
    look,
    of_commit,
    of_publication,
    of_refusal,
    of_scoring,
    of_validation,
    staged,
)

RESULTS = (
    ExpectationResult(
        *("expect_column_values_to_be_between(at)", "warning", False, 2, "2 rows are before 2024-01-01"),
        name="expect_column_values_to_be_between",
        arguments={"column": "at", "min_value": date(2024, 1, 1)},
    ),
    ExpectationResult("rows that cannot be read", "critical", True, 0, ""),
)
REPORT = ValidationReport("2024-01-02", 12, 2, RESULTS)
PLACE = ("s3://bucket", "prefix/shop/lake/partitions")
VERSION = "2024-01-02-abcd"


def test_a_table_that_was_written_has_schema_version_and_rows() -> None:
    looked = Looked(PLACE, {"at": "timestamp[us, tz=UTC]", "sold": "double"}, "7")
    assert facets(Data("partitions", 10), looked, written=True) == {
        "symlinks": {"identifiers": [{"namespace": PLACE[0], "name": PLACE[1], "type": "LOCATION"}]},
        "schema": {
            "fields": [{"name": "at", "type": "timestamp[us, tz=UTC]"}, {"name": "sold", "type": "double"}]
        },
        "version": {"datasetVersion": "7"},
        "outputStatistics": {"rowCount": 10},
    }


def test_rows_that_were_read_have_assertions_and_the_figures_of_their_columns() -> None:
    profile = {
        "rows": 10,
        "columns": {
            "at": {"nulls": 0, "min": "2024-01-02", "max": "2024-01-03"},
            "sold": {"nulls": 3, "mean": 2.0, "min": 1, "max": 4.5, "quantiles": {"0.5": 2.0}},
        },
    }
    found = facets(staged(rows=10, report=REPORT), Looked(PLACE, profile=profile), written=False)
    assert found["inputStatistics"] == {"rowCount": 10}
    assert found["dataQualityAssertions"]["assertions"] == [
        {
            "assertion": "expect_column_values_to_be_between",
            "success": False,
            "column": "at",
            "severity": "warn",
            "name": "expect_column_values_to_be_between(at)",
            "actual": "2 rows are before 2024-01-01",
            "params": {"column": "at", "min_value": "2024-01-01"},
        },
        {
            "assertion": "rows that cannot be read",
            "success": True,
            "column": None,
            "severity": "error",
            "name": "rows that cannot be read",
            "actual": None,
            "params": {},
        },
    ]
    assert found["dataQualityMetrics"] == {
        "rowCount": 10,
        "columnMetrics": {
            "at": {"nullCount": 0, "count": 10, "quantiles": {}},
            "sold": {"nullCount": 3, "count": 7, "min": 1, "max": 4.5, "quantiles": {"0.5": 2.0}},
        },
    }
    assert set(found) == {"symlinks", "inputStatistics", "dataQualityAssertions", "dataQualityMetrics"}


def test_a_model_has_the_version_of_the_registry() -> None:
    commit = of_commit(Committed(VERSION, Verdict(Outcome.WORSE, ()), None))
    assert [data.name for data in commit.reads] == ["partitions"]
    (model,) = commit.writes
    assert facets(model, Looked(PLACE), written=True)["version"] == {"datasetVersion": VERSION}
    scoring = of_scoring(Scored("2024-01-02", VERSION, 10, True))
    assert scoring.reads == (Data("partitions", 10), Data("models", version=VERSION))
    assert scoring.writes == (Data("predictions", 10),)


def test_publication_adds_its_partitions_up_and_tells_of_the_newest() -> None:
    days = [Published(f"2024-01-0{day}", 10, day, True, REPORT) for day in (1, 2)]
    assert of_publication(days) == Lineage(
        (staged(rows=20, report=REPORT, columns_of="2024-01-02"),),
        (Data("partitions", 20), Data("quarantine", 3)),
    )


def test_what_is_refused_goes_nowhere_and_says_why() -> None:
    refused = ValidationReport("2024-01-03", 5, 5, RESULTS, refused="too many")
    valid = of_validation(["sales"], [REPORT, refused])
    assert valid == Lineage((Data("staging/sales"),), (Data("staging/rows", 10),))
    assert of_refusal(["sales"], refused) == Lineage(
        (Data("staging/sales"), Data("staging/rows", 5, report=refused)), ()
    )


@pytest.fixture
def shop(configured: Storage) -> Pipeline:
    return Pipeline(load_spec("iris"), configured)


def test_the_storage_says_what_a_table_is_of(shop: Pipeline, configured: Storage) -> None:
    assert look(shop, Data("predictions")).schema == {}
    shop.lake.replace(Table.PREDICTIONS, {"snapshot": pa.table({"prediction": [1.5]})})
    looked = look(shop, Data("predictions"))
    assert looked.schema == {"prediction": "double"}
    assert looked.version == str(shop.lake.version(Table.PREDICTIONS))
    assert "/".join(looked.place) == configured.uri("iris/lake/predictions")
