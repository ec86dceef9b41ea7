"""The pieces of `docs/how-to/read-the-tables.md`, each run where its tool is installed: all find the same."""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from evergreen.lake import Lake, Table
from evergreen.storage import Storage
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "how-to" / "read-the-tables.md").read_text()
TOOLS = {"pandas": "pandas", "DuckDB": "duckdb", "Polars": "polars", "Dask": "dask", "Spark": "pyspark"}
DAYS = ("2011-01-01", "2011-01-02", "2011-01-03")


@pytest.fixture
def expected(configured: Storage, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """The means of what is published."""
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    draw = np.random.default_rng(0)
    rows = {day: pa.table({"temperature": draw.normal(size=24), "rentals": np.arange(24)}) for day in DAYS}
    Lake(configured, "bike_demand").replace(Table.PARTITIONS, rows)
    means = [np.mean(rows[day].column("temperature").to_numpy()) for day in DAYS[1:]]
    return pd.DataFrame({"partition": DAYS[1:], "temperature": means})


def piece(title: str) -> str:
    (found,) = re.findall(rf"^## {title}\n.*?```python\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.mark.parametrize("title", TOOLS)
def test_each_tool_finds_the_same(title: str, expected: pd.DataFrame) -> None:
    if not find_spec(TOOLS[title]):
        pytest.skip(f"{title} is not installed here: make test-engines")
    (first,) = re.findall(r"The table:\n\n```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, object] = {}
    exec(first + piece(title), names)
    found = names["found"]
    assert isinstance(found, pd.DataFrame)
    assert list(found["partition"]) == list(expected["partition"])
    np.testing.assert_allclose(found["temperature"], expected["temperature"], rtol=1e-12)


def test_every_tool_of_the_page_is_run() -> None:
    assert re.findall(r"^## (.*)$", PAGE, re.MULTILINE) == list(TOOLS)
