"""A whole pipeline on tables of a lake: checked, ingested, and ingested again after late and deleted rows."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from typer.testing import CliRunner

from evergreen import cli
from evergreen.ingestion.stage import ingest
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.storage import Storage
from tests.unit.sources.tables.written import WrittenIceberg

SHOP = """
name: shop
description: Orders, and the shops that they were made in
owner: tests
schedule: "@daily"
start: 2024-01-01
partition: daily
timezone: Europe/Berlin
sources:
  orders: {delta: {path: ../orders, time_column: at, types: {amount: "decimal(12, 2)"}}}
  shops: {iceberg: {conn_id: catalog, table: shop.events, columns: [shop, city]}}
join: [{left: orders, right: shops, on: shop, expect: many_to_one}]
key: [order]
task: regression
target: amount
training: {metric: mae, candidates: [{estimator: sklearn.linear_model.Ridge}]}
"""
FIRST, SECOND = "2024-01-01", "2024-01-02"


def orders(*rows: tuple[int, int, int]) -> pa.Table:
    """Rows of a number, a day of January and an hour of UTC."""
    return pa.table(
        {
            "order": [number for number, _, _ in rows],
            "at": pa.array([datetime(2024, 1, day, hour, tzinfo=UTC) for _, day, hour in rows]),
            "shop": [number % 2 for number, _, _ in rows],
            "amount": [f"{number}.50" for number, _, _ in rows],
        }
    )


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configured: Storage) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "pipeline.yaml").write_text(SHOP)
    (folder / "expectations.yaml").write_text("[]\n")
    # In Berlin the second of January begins at 23:00 UTC.
    write_deltalake(tmp_path / "orders", orders((1, 1, 0), (2, 1, 22), (3, 1, 23), (4, 2, 5)))
    shops = WrittenIceberg(tmp_path / "lake")
    shops.append(pa.table({"shop": [0, 1], "city": ["Ulm", "Jena"], "deep": [{"a": 1}, {"a": 2}]}))
    extra = {**shops.options, "catalog_name": "lake"}
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_CONN_CATALOG", json.dumps({"conn_type": "iceberg", "extra": extra}))
    return tmp_path


def published(key: str) -> list[tuple[int, str]]:
    rows = Pipeline.open("shop").lake.read(Table.PARTITIONS, key, key).to_pylist()
    return sorted((row["order"], row["city"]) for row in rows)


def test_check_looks_at_the_connection(shop: Path, monkeypatch: pytest.MonkeyPatch):
    found = CliRunner().invoke(cli.app, ["check", "shop"])
    assert found.exit_code == 0, found.output
    monkeypatch.setenv("AIRFLOW_CONN_CATALOG", json.dumps({"conn_type": "iceberg"}))
    found = CliRunner().invoke(cli.app, ["check", "shop", "--json"])
    assert found.exit_code == 1
    assert "connection 'catalog' describes no catalog of Iceberg tables" in found.output
    monkeypatch.delenv("AIRFLOW_CONN_CATALOG")
    found = CliRunner().invoke(cli.app, ["check", "shop", "--json"])
    assert found.exit_code == 1
    assert "connection 'catalog' is not defined" in found.output


def test_it_is_ingested_and_a_partition_follows_the_table(shop: Path):
    assert [each.rows for each in ingest(Pipeline.open("shop"), [FIRST, SECOND])] == [2, 2]
    assert published(FIRST) == [(1, "Jena"), (2, "Ulm")]
    assert published(SECOND) == [(3, "Jena"), (4, "Ulm")]
    version = Pipeline.open("shop").lake.version(Table.PARTITIONS)
    ingest(Pipeline.open("shop"), [FIRST, SECOND])
    assert Pipeline.open("shop").lake.version(Table.PARTITIONS) == version
    write_deltalake(shop / "orders", orders((5, 1, 1), (7, 2, 1)), mode="append")
    DeltaTable(shop / "orders").delete('"order" = 4')
    ingest(Pipeline.open("shop"), [FIRST, SECOND])
    assert published(FIRST) == [(1, "Jena"), (2, "Ulm"), (5, "Jena")]
    assert published(SECOND) == [(3, "Jena"), (7, "Jena")]
