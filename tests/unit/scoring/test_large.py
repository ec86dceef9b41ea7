"""Partitions that are scored in parts, and ranges that workers score: the same files as one by one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import LinearRegression

from evergreen.asked.finding import ASKED, Asked, Together
from evergreen.errors import NothingToDoError, RefusedError
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.registry.model_file import dump_model
from evergreen.scoring import large
from evergreen.scoring.golden import golden_sample
from evergreen.scoring.ranges import score_range
from evergreen.scoring.score import score
from evergreen.spec import Spec, parse_spec
from evergreen.storage import Storage
from tests.unit.scoring.conftest import KIOSK

DAY, ROWS, VERSION = "2024-01-03", 1_100, "2024-01-02-0123456789ab"
FEATURES = "def build(rows):\n    return rows[['temperature']]\n"

Publish = Callable[..., Pipeline]


def sales(rows: int = ROWS) -> pd.DataFrame:
    draw = np.random.default_rng(3)
    at = pd.date_range(DAY, periods=rows, freq="s", tz="UTC").as_unit("us")
    temperature = 20 + draw.normal(size=rows)
    return pd.DataFrame({"at": at, "temperature": temperature, "sold": np.arange(rows)})


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    """The kiosk with a feature of each row alone."""
    folder = tmp_path / "pipelines" / "kiosk"
    folder.mkdir(parents=True)
    text = (KIOSK / "pipeline.yaml").read_text().replace(", look_back: 3 days", "")
    (folder / "pipeline.yaml").write_text(text)
    (folder / "features.py").write_text(FEATURES)
    return parse_spec(folder / "pipeline.yaml").model_copy(update={"scoring": None})


@pytest.fixture
def publish(spec: Spec, configured: Storage) -> Publish:
    """Publishes days, and a champion of each row alone that was trained before them."""

    def call(days: dict[str, pd.DataFrame], together: Together = Together.ROW) -> Pipeline:
        pipeline = Pipeline(spec, configured)
        pipeline.lake.replace(
            Table.PARTITIONS,
            {key: pa.Table.from_pandas(rows, preserve_index=False) for key, rows in days.items()},
        )
        rows = sales(50)
        model = LinearRegression().fit(rows[["temperature"]], rows["sold"])
        files = {
            "model.skops": dump_model(model),
            "golden.parquet": golden_sample(spec, model, rows.assign(partition=DAY)),
            ASKED: Asked(together).to_json(),
        }
        pipeline.registry.commit(VERSION, files)
        pipeline.registry.promote(VERSION, "2024-01-02", {})
        return pipeline

    return call


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of the parts that are predicted, where every partition counts as large."""
    seen: list[int] = []
    ends = large._ends

    def counted(spec: Spec, rows: pa.Table) -> object:
        seen.append(len(rows))
        return ends(spec, rows)

    monkeypatch.setattr(large, "LARGE", 1)
    monkeypatch.setattr(large, "PART", 500)
    monkeypatch.setattr(large, "_ends", counted)
    return seen


def file_scored(pipeline: Pipeline) -> str:
    scored = score(pipeline, DAY)
    assert (scored.version, scored.rows) == (VERSION, ROWS)
    return pipeline.lake.files(Table.PREDICTIONS)[DAY]


def test_parts_give_the_file_of_the_whole(
    publish: Publish, in_parts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = publish({DAY: sales()})
    apart = file_scored(pipeline)
    assert in_parts == [500, 500, 100]
    assert not score(pipeline, DAY).changed
    monkeypatch.setattr(large, "LARGE", 2**40)
    assert not score(pipeline, DAY).changed
    assert pipeline.lake.files(Table.PREDICTIONS)[DAY] == apart


def test_rows_in_another_order_are_scored_together(publish: Publish, in_parts: list[int]) -> None:
    pipeline = publish({DAY: sales().sample(frac=1, random_state=1)})
    file_scored(pipeline)
    assert len(in_parts) == 2  # the second part does not follow the first
    found = pipeline.lake.read(Table.PREDICTIONS).column("at").to_pandas()
    assert found.is_monotonic_increasing


def test_a_key_in_two_parts_is_refused_as_it_is_in_one(publish: Publish, in_parts: list[int]) -> None:
    rows = sales()
    rows.loc[500, "at"] = rows.loc[499, "at"]
    pipeline = publish({DAY: rows})
    with pytest.raises(RefusedError, match="2024-01-03: 1 rows have no key of their own in at"):
        score(pipeline, DAY)
    assert in_parts


def test_a_model_that_looks_at_other_rows_has_them_all(publish: Publish, in_parts: list[int]) -> None:
    file_scored(publish({DAY: sales()}, Together.PARTITION))
    assert in_parts == []


def test_a_range_by_processes_is_the_range_one_by_one(
    publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = {f"2024-01-{day:02d}": sales(20 + day) for day in range(1, 7)}
    for key, rows in days.items():
        rows["at"] = rows["at"] + (pd.Timestamp(key) - pd.Timestamp(DAY))
    pipeline = publish(days)
    keys, skipped = list(days), (NothingToDoError,)
    monkeypatch.setenv("EVERGREEN_COMPUTE", "processes:2")
    apart = list(score_range(pipeline, keys, skipped))
    assert [key for key, _ in apart] == keys
    assert isinstance(apart[0][1], NothingToDoError)
    assert [scored.changed for _, scored in apart[1:]] == [True] * 5  # type: ignore[union-attr]
    monkeypatch.setenv("EVERGREEN_COMPUTE", "local")
    again = list(score_range(pipeline, keys, skipped))
    assert [scored.changed for _, scored in again[1:]] == [False] * 5  # type: ignore[union-attr]
    with pytest.raises(NothingToDoError, match="no champion was in force"):
        list(score_range(pipeline, keys))
