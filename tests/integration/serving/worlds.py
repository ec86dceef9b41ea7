"""Pipelines with published rows, and of each a promoted version that has scored the newest partition."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.cluster import KMeans
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from deploy.demo_data.simulator import simulate
from evergreen.asked.find import find_asked
from evergreen.features.build import build_features
from evergreen.features.stored import feature_files
from evergreen.intervals.conformal import ConformalRegressor
from evergreen.lake import PARTITION, Table
from evergreen.pipeline import Pipeline
from evergreen.registry.model_file import dump_model
from evergreen.rows.frame import to_frame
from evergreen.scoring.golden import golden_sample
from evergreen.scoring.score import score
from evergreen.spec import load_spec, parse_spec
from evergreen.spec.intervals import Intervals
from evergreen.storage import Storage
from tests.conftest import ROOT
from tests.unit.features.test_bike_demand import simulated
from tests.unit.scoring.conftest import sales

OWN = ROOT / "include" / "pipelines"
KIOSK = ROOT / "tests" / "pipelines" / "kiosk"
LENDER = ROOT / "tests" / "pipelines" / "lender" / "pipeline.yaml"


@dataclass(frozen=True)
class World:
    """A scored pipeline, the version that scored, and the partition."""

    pipeline: Pipeline
    version: str
    partition: str

    @property
    def raw(self) -> list[dict[str, Any]]:
        """The rows of the partition as a client sends them."""
        rows = self.pipeline.lake.read(Table.PARTITIONS, self.partition, self.partition)
        unknown = [name for name in (PARTITION, self.pipeline.spec.target) if name in rows.column_names]
        return [plain(row) for row in rows.drop_columns(unknown).to_pylist()]

    @property
    def night(self) -> list[dict[str, Any]]:
        """What the night has published of the partition, in the order of `raw`."""
        found = self.pipeline.lake.read(Table.PREDICTIONS, self.partition, self.partition)
        unsent = [name for name in (PARTITION, "actual") if name in found.column_names]
        rows = [plain(row) for row in found.drop_columns(unsent).to_pylist()]
        by_key = {self.key(row): row for row in rows}
        return [by_key[self.key(row)] for row in self.raw]

    def key(self, row: dict[str, Any]) -> tuple[Any, ...]:
        """What names a row."""
        return tuple(row[name] for name in self.pipeline.spec.keys)


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row as JSON has it."""
    times = {name: value for name, value in row.items() if hasattr(value, "isoformat")}
    return row | {name: value.isoformat().replace("+00:00", "Z") for name, value in times.items()}


def world(
    pipeline: Pipeline,
    rows: pd.DataFrame,
    estimator: Any,
    labels: pd.DataFrame | None = None,
    as_of: str | None = None,
) -> World:
    """Publish the rows (and labels), promote the estimator, fit to them, and score the newest partition.

    It is promoted as of the newest partition, if no other one is named.
    """
    _publish(pipeline, Table.PARTITIONS, rows)
    if labels is not None:
        _publish(pipeline, Table.LABELS, labels)
    partition = pipeline.lake.partitions()[-1]
    version = promoted(pipeline, estimator, as_of or partition)
    score(pipeline, partition)
    return World(pipeline, version, partition)


def promoted(pipeline: Pipeline, estimator: Any, as_of: str, digest: str = "0123456789ab") -> str:
    """Commit and promote an estimator that is fit to all published rows, and return its version."""
    version = committed(pipeline, estimator, as_of, digest)
    pipeline.registry.promote(version, as_of, {"kind": "test"})
    return version


def committed(pipeline: Pipeline, estimator: Any, as_of: str, digest: str) -> str:
    """Commit an estimator that is fit to all published rows, and return its version."""
    spec, rows = pipeline.spec, to_frame(pipeline.lake.read(Table.PARTITIONS))
    if spec.labels is not None:
        labels = to_frame(pipeline.lake.read(Table.LABELS))
        rows = rows.merge(labels.drop(columns=PARTITION), on=list(spec.keys))
    features = build_features(spec, rows)
    model = estimator.fit(features, rows[spec.target] if spec.target else None)
    files = {
        "model.skops": dump_model(model),
        "golden.parquet": golden_sample(spec, model, rows),
        "asked.json": find_asked(spec, rows, "9999").to_json(),
        **feature_files(spec, list(features)),
    }
    version = f"{as_of}-{digest}"
    pipeline.registry.commit(version, files)
    return version


def iris(storage: Storage) -> World:
    """Three classes of rows that say all of themselves."""
    rows = pd.read_csv(OWN / "iris" / "flowers.csv").assign(partition="snapshot")
    return world(Pipeline(load_spec("iris"), storage), rows, _scaled(LogisticRegression(max_iter=1000)))


def wine(storage: Storage) -> World:
    """Clusters."""
    rows = pd.read_csv(OWN / "wine_segments" / "wines.csv").assign(partition="snapshot")
    return world(Pipeline(load_spec("wine_segments"), storage), rows, _scaled(KMeans(3, random_state=0)))


def bikes(storage: Storage) -> World:
    """Hours of days, whose features look at the day and the four weeks before it."""
    rows = simulated()
    rows = rows[rows["partition"] >= "2024-02-26"]
    spec = load_spec("bike_demand").model_copy(update={"scoring": None, "explain": 3})
    return world(Pipeline(spec, storage), rows, HistGradientBoostingRegressor(max_iter=20))


def many_days_of_bikes(storage: Storage, days: int) -> list[World]:
    """The newest days of `bike_demand`, all scored by a version that was trained before them."""
    last = date(2011, 1, 28) + timedelta(days)
    data = simulate(date(2011, 1, 1), last)
    rows = data.rentals.merge(data.weather, left_on="rented_at", right_on="hour").drop(columns="hour")
    at = rows["rented_at"].dt.as_unit("us")
    rows = rows.assign(rented_at=at, partition=at.dt.strftime("%Y-%m-%d"))
    spec = load_spec("bike_demand").model_copy(update={"scoring": None})
    pipeline = Pipeline(spec, storage)
    kept = rows[rows["wind_speed"] < 120]  # a faulty sensor's, which a night would quarantine
    newest = world(pipeline, kept, HistGradientBoostingRegressor(max_iter=20), as_of="2011-01-28")
    partitions = pipeline.lake.partitions()[-days:]
    for partition in partitions[:-1]:
        score(pipeline, partition)
    return [World(pipeline, newest.version, partition) for partition in partitions]


def lender(storage: Storage) -> World:
    """Two classes, told five days later."""
    random = np.random.default_rng(2)
    at = pd.date_range("2024-01-01", periods=200, freq="3h", tz="UTC").as_unit("us")
    rows = pd.DataFrame(
        {
            "loan": np.arange(200),
            "granted_at": at,
            "amount": random.uniform(1, 9, 200),
            "income": random.uniform(1, 9, 200),
            "partition": at.strftime("%Y-%m-%d"),
        }
    )
    labels = rows[["loan", "partition"]].assign(late=rows["amount"] > rows["income"])
    return world(Pipeline(parse_spec(LENDER), storage), rows, _scaled(LogisticRegression()), labels)


class _Conformal:
    """A line with intervals, whose levels promise less than the last days need."""

    def fit(self, features: pd.DataFrame, sold: pd.Series) -> ConformalRegressor:
        model = ConformalRegressor(_line().fit(features, sold), (0.5, 0.8))
        early = features.index < len(features) // 2
        rows, truth = features[early], sold[early].to_numpy(float)
        model.calibrate(model.predict(rows), truth, np.arange(len(rows)) // 7)
        return model


def kiosk(storage: Storage) -> World:
    """Intervals that adapt: from the middle on, what is sold varies three times as much."""
    rows = sales(20)
    middle = rows["sold"].mean().round()
    late = rows.index >= len(rows) // 2
    rows["sold"] = rows["sold"].mask(late, middle + 3 * (rows["sold"] - middle)).astype("int64")
    intervals = Intervals(levels=(0.5, 0.8), adapt=True)
    folder = Path(tempfile.mkdtemp()) / "kiosk"
    shutil.copytree(KIOSK, folder)
    (folder / "expectations.yaml").write_text("[]\n")
    spec = parse_spec(folder / "pipeline.yaml").model_copy(update={"scoring": None, "intervals": intervals})
    return world(Pipeline(spec, storage), rows, _Conformal(), as_of="2024-01-11")


WORLDS: dict[str, Callable[[Storage], World]] = {
    "iris": iris,
    "wine": wine,
    "bikes": bikes,
    "lender": lender,
    "kiosk": kiosk,
}


def _publish(pipeline: Pipeline, table: Table, rows: pd.DataFrame) -> None:
    found = pa.Table.from_pandas(rows, preserve_index=False)
    texts = [pa.string() if pa.types.is_large_string(field.type) else field.type for field in found.schema]
    found = found.cast(pa.schema(list(zip(found.column_names, texts, strict=True))))
    keys = found.column(PARTITION)
    parts = {
        str(key): found.filter(pc.equal(keys, key)).drop_columns([PARTITION])
        for key in keys.unique().to_pylist()
    }
    pipeline.lake.replace(table, parts)


def _line() -> Any:
    return make_pipeline(SimpleImputer(), LinearRegression())


def _scaled(estimator: Any) -> Any:
    return make_pipeline(StandardScaler(), estimator)
