"""The code in docs/how-to/python.md and in the README runs as it stands there, and the page says it all."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import yaml

import evergreen
from deploy.demo_data.simulator import simulate
from evergreen.description import read_mapping
from evergreen.lake import Table
from evergreen.monitoring.stage import monitor
from evergreen.pipeline import Pipeline
from evergreen.scoring.score import score
from evergreen.spec import parse_spec
from evergreen.storage import Credentials, Storage
from evergreen.training.stage import train
from evergreen.validation.quarantine import QUARANTINE

ROOT = Path(__file__).parents[3]
BIKE = ROOT / "include" / "pipelines" / "bike_demand"
PAGE = (ROOT / "docs" / "how-to" / "python.md").read_text()
README = (ROOT / "README.md").read_text()


def code(page: str) -> str:
    return "\n".join(re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE))


@pytest.fixture(scope="module")
def bike(s3_server: str, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """The demo's pipeline with seven weeks of simulated rows, a plain champion, and three nights."""
    folder = tmp_path_factory.mktemp("pipelines") / "bike_demand"
    folder.mkdir()
    (folder / "features.py").write_text((BIKE / "features.py").read_text())
    described = read_mapping(BIKE / "pipeline.yaml")
    forest = {"estimator": "sklearn.ensemble.RandomForestRegressor", "params": {"n_estimators": 20}}
    described["training"]["candidates"] = [forest]
    described["training"]["minimum"] = "30 partitions"
    del described["scoring"]
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(described))
    storage = Storage("how-to-python", "", Credentials(s3_server, access_key="test", secret_key="test"))
    storage._client.create_bucket(Bucket=storage.bucket)
    pipeline = Pipeline(parse_spec(folder / "pipeline.yaml"), storage)
    data = simulate(date(2011, 3, 20), date(2011, 5, 6))
    rows = data.rentals.merge(data.weather, left_on="rented_at", right_on="hour").drop(columns="hour")
    rows["rented_at"] = rows["rented_at"].dt.as_unit("us")
    schema = pa.Schema.from_pandas(rows, preserve_index=False)
    schema = schema.set(schema.get_field_index("condition"), pa.field("condition", pa.string()))
    days = {
        str(key): pa.Table.from_pandas(day, schema=schema, preserve_index=False)
        for key, day in rows.groupby(rows["rented_at"].dt.strftime("%Y-%m-%d"))
    }
    pipeline.lake.replace(Table.PARTITIONS, days)
    assert train(pipeline, "2011-05-01", {"kind": "shell"}).promoted
    for key in ("2011-05-01", "2011-05-02", "2011-05-03"):
        score(pipeline, key)
        monitor(pipeline, key)
    row = {"row": '{"wind_speed": 999.0}', "expectation": "wind", "reason": "it is 999.0", "place": ""}
    pipeline.lake.replace(Table.QUARANTINE, {"2011-04-10": pa.Table.from_pylist([row], schema=QUARANTINE)})
    return pipeline


@pytest.fixture
def names(bike: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """An empty session beside a stack that is found by its file alone."""
    credentials = bike.storage.credentials
    Path(os.environ["EVERGREEN_HOME"], "env").write_text(
        f"EVERGREEN_STORAGE={bike.storage.uri()}\nEVERGREEN_PIPELINES={bike.spec.folder.parent}\n"
        f"AWS_ENDPOINT_URL={credentials.endpoint_url}\n"
        f"AWS_ACCESS_KEY_ID={credentials.access_key}\nAWS_SECRET_ACCESS_KEY={credentials.secret_key}\n"
    )
    before = bike.storage.look("")
    yield {}
    assert bike.storage.look("") == before


def test_the_page(names: dict[str, Any]) -> None:
    exec(compile(code(PAGE), "python.md", "exec"), names)
    assert len(names["day"]) == len(names["tonight"]) == 24
    assert len(names["april"]) == len(names["counts"]) == len(names["known"]) == 30 * 24
    assert list(names["counts"].columns) == ["rented_at", "cnt"]
    assert names["newest"]["partition"].unique().tolist() == ["2011-05-06"]
    assert names["model"].version == names["earlier"].version == names["same"].version
    pd.testing.assert_frame_equal(names["tonight"], names["written"], check_exact=True)
    assert names["gain"] > 0
    assert names["training_set"].version == names["model"].version
    assert names["held_out"].sum() == 7 * 24
    assert names["mae"] < 100
    assert names["decisions"]["partition"].tolist() == ["2011-05-01", "2011-05-02", "2011-05-03"]
    assert names["best"]["version"] == names["model"].version
    assert names["broken"] == [{"wind_speed": 999.0}]
    assert names["said"].endswith(
        "this partition is not published: run evergreen ingest bike_demand --partition 2031-01-01"
    )


def test_the_readme(names: dict[str, Any]) -> None:
    exec(compile(code(README), "README.md", "exec"), names)
    assert repr(names["p"]).startswith("<evergreen.Pipeline bike_demand")


@pytest.mark.usefixtures("names")
def test_the_page_names_all_there_is() -> None:
    p = evergreen.open("bike_demand")
    public = [name for name in dir(p) if not name.startswith("_")]
    assert [name for name in public if name != "name" and f"p.{name}(" not in PAGE] == []
    of_model = [name for name in dir(p.champion()) if not name.startswith("_")]
    assert [name for name in of_model if f"model.{name}" not in PAGE] == []
    errors = [name for name in evergreen.__all__ if name.endswith("Error")]
    assert [name for name in errors if name not in PAGE] == []
    for table in ("decisions", "quarantine"):
        (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| `p.{table}()`")]
        assert re.findall(r"`(\w+)`", line) == list(getattr(p, table)().columns)
