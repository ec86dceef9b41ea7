"""A kiosk that sells more when it is warm: its published days, and versions of its model, whole ones."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import LinearRegression

from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.registry.model_file import dump_model
from evergreen.scoring.golden import golden_sample
from evergreen.scoring.predict import partition_features
from evergreen.spec import Spec, parse_spec
from evergreen.storage import Storage

KIOSK = Path(__file__).parents[2] / "pipelines" / "kiosk"


def sales(days: int = 30) -> pd.DataFrame:
    """Four rows a day from 2024-01-01 on; what is sold follows the temperature."""
    draw = np.random.default_rng(1)
    at = pd.DatetimeIndex([t for d in range(days) for t in _hours(d)]).as_unit("us")
    temperature = 20 + draw.normal(size=len(at))
    sold = np.round(3 * temperature + draw.normal(size=len(at))).astype("int64")
    frame = pd.DataFrame({"at": at, "temperature": temperature, "sold": sold})
    return frame.assign(partition=at.strftime("%Y-%m-%d"))


def _hours(day: int) -> list[pd.Timestamp]:
    start = pd.Timestamp("2024-01-01", tz="UTC") + pd.Timedelta(days=day)
    return [start + pd.Timedelta(hours=hour) for hour in (6, 10, 14, 18)]


def trained_on(spec: Spec, rows: pd.DataFrame, model: Any = None) -> Any:
    """A model of the days 5 to 11, a linear one unless another is given."""
    features = pd.concat([partition_features(spec, rows, f"2024-01-{day:02d}") for day in range(5, 12)])
    return (model or LinearRegression()).fit(features, rows.loc[features.index, "sold"])


@pytest.fixture
def kiosk(storage: Storage, tmp_path: Path) -> Pipeline:
    """The pipeline in a folder of its own, so that a test may change its features; 30 days are published."""
    folder = tmp_path / "pipelines" / "kiosk"
    shutil.copytree(KIOSK, folder)
    spec = parse_spec(folder / "pipeline.yaml").model_copy(update={"scoring": None})
    pipeline = Pipeline(spec, storage)
    rows = {
        str(key): pa.Table.from_pandas(part.drop(columns="partition"), preserve_index=False)
        for key, part in sales().groupby("partition")
    }
    pipeline.lake.replace(Table.PARTITIONS, rows)
    return pipeline


@pytest.fixture
def commit(kiosk: Pipeline) -> Callable[..., str]:
    """Commits a version with a model and its golden sample; `changes` are files to store in their place."""

    def make(as_of: str = "2024-01-12", **changes: bytes) -> str:
        rows = sales()
        model = trained_on(kiosk.spec, rows)
        files = {
            "model.skops": dump_model(model),
            "golden.parquet": golden_sample(kiosk.spec, model, rows[rows["partition"] < as_of]),
        }
        version = f"{as_of}-0123456789ab"
        kiosk.registry.commit(version, {**files, **{f.replace("_", "."): b for f, b in changes.items()}})
        return version

    return make


def change_features(pipeline: Pipeline, old: str, new: str) -> None:
    file = pipeline.spec.folder / "features.py"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
