"""What docs/how-to/tables.md shows is right: its sources are read from tables that are where they say."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from deltalake import write_deltalake

from evergreen.connections import from_environment
from evergreen.sources import KINDS, Source
from evergreen.sources.tables.description import DeltaSource, IcebergSource
from tests.unit.sources.tables.written import Written, WrittenIceberg

PAGE = (Path(__file__).parents[4] / "docs" / "how-to" / "tables.md").read_text()
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
SOURCES: dict[str, Any] = {
    name: said for block in BLOCKS for name, said in yaml.safe_load(block)["sources"].items()
}
KEY, DAY = "2024-01-31", datetime(2024, 1, 31, 12, tzinfo=UTC)
ROW = {"id": 1, "at": DAY, "ordered_at": DAY, "added_at": DAY, "amount": "1.50", "note": "x"}
SHOWN = {**ROW, "amount": Decimal("1.50")}


def test_the_tables_have_every_key():
    found = re.findall(r"^\| key \|.*?\n\n", PAGE, re.DOTALL | re.MULTILINE)
    first_cells = [" ".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)) for table in found]
    keys = [set(re.findall(r"`(\w+)`", cells)) for cells in first_cells]
    assert keys == [set(model.model_fields) for model in (DeltaSource, IcebergSource)]


@pytest.mark.parametrize("name", [name for name, said in SOURCES.items() if "delta" in said])
def test_every_delta_table_is_read(name: str, tmp_path: Path):
    source = Source.model_validate(SOURCES[name])
    # The same source on disk, for nothing listens at the page's bucket.
    path = source.config.path.replace("s3://lake", str(tmp_path))
    for _ in range((source.config.version or 0) + 1):
        there = tmp_path / path.replace("{partition:%Y/%m/%d}", "2024/01/31")
        write_deltalake(there, pa.Table.from_pylist([ROW]), mode="overwrite")
    config = source.config.model_copy(update={"path": path, "conn_id": None})
    found = KINDS["delta"].read(config, Written(tmp_path).wanted(KEY)).table()
    columns = source.config.columns
    assert found.to_pylist() == [{column: SHOWN[column] for column in columns} if columns else ROW]


@pytest.mark.parametrize("name", [name for name, said in SOURCES.items() if "iceberg" in said])
def test_every_iceberg_table_is_read(name: str, tmp_path: Path):
    written = WrittenIceberg(tmp_path)
    config = Source.model_validate(SOURCES[name]).config
    table = written.catalog.create_table(config.table or "shop.stock", pa.Table.from_pylist([ROW]).schema)
    table.append(pa.Table.from_pylist([ROW]))
    if config.path:
        there = tmp_path / config.path.replace("{partition}", KEY)
        there.parent.mkdir(parents=True)
        there.write_bytes(Path(table.metadata_location.removeprefix("file://")).read_bytes())
    if config.snapshot_id:
        config = config.model_copy(update={"snapshot_id": table.current_snapshot().snapshot_id})
    written.conn_id = "lake_catalog"
    found = KINDS["iceberg"].read(config, written.wanted(KEY)).table()
    assert found.to_pylist() == [
        {column: SHOWN[column] for column in config.columns} if config.columns else ROW
    ]


def test_the_connections_of_the_page_are_checked(monkeypatch: pytest.MonkeyPatch):
    for variable, value in re.findall(r"^(AIRFLOW_CONN_\w+)='(.*?)'$", PAGE, re.DOTALL | re.MULTILINE):
        monkeypatch.setenv(variable, value)
    checked = 0
    for said in SOURCES.values():
        source = Source.model_validate(said)
        if source.config.conn_id:
            KINDS[source.kind].check_connection(source.config, from_environment(source.config.conn_id))
            checked += 1
    assert checked == 3
