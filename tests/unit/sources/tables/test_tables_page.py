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
from evergreen.sources.tables.description import DeltaSource
from tests.unit.sources.tables.written import Written

PAGE = (Path(__file__).parents[4] / "docs" / "how-to" / "tables.md").read_text()
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
SOURCES: dict[str, Any] = {
    name: said for block in BLOCKS for name, said in yaml.safe_load(block)["sources"].items()
}
DAY = datetime(2024, 1, 31, 12, tzinfo=UTC)


def test_the_table_has_every_key():
    (table,) = re.findall(r"^\| key \|.*?\n\n", PAGE, re.DOTALL | re.MULTILINE)
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(DeltaSource.model_fields)


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_is_read(name: str, tmp_path: Path):
    source = Source.model_validate(SOURCES[name])
    # The same source on disk, for nothing listens at the page's bucket.
    path = source.config.path.replace("s3://lake", str(tmp_path))
    rows = pa.table({"id": [1], "at": [DAY], "amount": ["1.50"], "note": ["x"], "added_at": [DAY]})
    there = tmp_path / path.replace("{partition:%Y/%m/%d}", "2024/01/31")
    for _ in range((source.config.version or 0) + 1):
        write_deltalake(there, rows, mode="overwrite")
    config = source.config.model_copy(update={"path": path, "conn_id": None})
    found = KINDS[source.kind].read(config, Written(tmp_path).wanted("2024-01-31")).table()
    expected = rows.to_pylist()[0]
    if name == "events":
        expected = {"id": 1, "at": DAY, "amount": Decimal("1.50")}
    assert found.to_pylist() == [expected]


def test_the_connection_of_the_page_is_checked(monkeypatch: pytest.MonkeyPatch):
    variable, value = re.findall(r"^(AIRFLOW_CONN_\w+)='(.*?)'$", PAGE, re.DOTALL | re.MULTILINE)[0]
    monkeypatch.setenv(variable, value)
    connection = from_environment("lake_keys")
    KINDS["delta"].check_connection(Source.model_validate(SOURCES["events"]).config, connection)
    assert (connection.login, connection.password) == ("ACCESS_KEY", "SECRET_KEY")
