"""Scoring: what the features may see, and what is published, through a real S3 server in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import LinearRegression

from evergreen.calendar import PartitionError
from evergreen.errors import NotFoundError, NothingToDoError, RefusedError, SpecError
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.registry.model_file import dump_model
from evergreen.scoring.golden import golden_sample
from evergreen.scoring.predict import partition_features, predict
from evergreen.scoring.score import Scored, score
from evergreen.spec import Spec, parse_spec
from evergreen.storage import Storage
from tests.unit.scoring.conftest import sales, trained_on

TESTS = Path(__file__).parents[2]
KIOSK = parse_spec(TESTS / "pipelines" / "kiosk" / "pipeline.yaml").model_copy(update={"scoring": None})
IRIS = parse_spec(TESTS.parent / "include" / "pipelines" / "iris" / "pipeline.yaml")
DAY = "2024-01-20"


@dataclass
class Remembering:
    """A model that keeps the features it was given."""

    seen: pd.DataFrame | None = None

    def predict(self, features: pd.DataFrame) -> np.ndarray[Any, Any]:
        self.seen = features.reset_index(drop=True)
        return np.arange(len(features), dtype=float)


def features_given(rows: pd.DataFrame, spec: Spec = KIOSK) -> pd.DataFrame:
    model = Remembering()
    found = predict(spec, model, rows, DAY)
    assert model.seen is not None
    return model.seen.head(len(found))


def test_predictions_of_the_partition_alone_in_order_of_time() -> None:
    rows = sales().sample(frac=1, random_state=2)
    found = predict(KIOSK, Remembering(), rows, DAY)
    own = sales().query("partition == @DAY")
    assert list(found.columns) == ["at", "prediction", "actual"]
    assert found["at"].tolist() == own["at"].tolist()
    assert found["prediction"].tolist() == [0, 1, 2, 3]
    assert found["actual"].tolist() == own["sold"].tolist()


def test_the_features_are_those_of_earlier_days_and_of_the_day_itself() -> None:
    given = features_given(sales())
    before = sales().query("'2024-01-17' <= partition < @DAY")
    assert given["level"].tolist() == pytest.approx([before["sold"].mean()] * 4)
    assert given["temperature"].tolist() == sales().query("partition == @DAY")["temperature"].tolist()


def test_a_marker_planted_in_the_future_is_not_seen() -> None:
    planted = sales()
    later = planted["partition"] > DAY
    planted.loc[later, ["temperature", "sold"]] = 99_999
    pd.testing.assert_frame_equal(features_given(planted), features_given(sales()))


def test_a_marker_planted_in_the_day_s_own_target_is_not_seen() -> None:
    planted = sales()
    planted.loc[planted["partition"] == DAY, "sold"] = 99_999
    pd.testing.assert_frame_equal(features_given(planted), features_given(sales()))


def test_a_feature_of_the_day_s_own_target_finds_it_unknown(tmp_path: Path) -> None:
    (tmp_path / "features.py").write_text(
        "def build(rows):\n    return rows[['sold']].rename(columns=str.upper)\n"
    )
    leaking = KIOSK.model_copy(update={"folder": tmp_path})
    assert features_given(sales(), leaking)["SOLD"].isna().all()


def test_rows_before_the_look_back_make_no_difference() -> None:
    short = sales().query("'2024-01-17' <= partition <= @DAY")
    pd.testing.assert_frame_equal(features_given(short), features_given(sales()))


def test_the_rows_given_are_left_as_they_were() -> None:
    rows = sales()
    predict(KIOSK, Remembering(), rows, DAY)
    pd.testing.assert_frame_equal(rows, sales())


def test_a_champion_of_other_features_is_refused() -> None:
    features = partition_features(KIOSK, sales(), DAY)
    model = LinearRegression().fit(features.rename(columns={"level": "yesterday"}), np.arange(4))
    with pytest.raises(RefusedError, match=r"kiosk: .* other features .*level, yesterday.*: train a new one"):
        predict(KIOSK, model, sales(), DAY)


@pytest.mark.parametrize("key", ["prediction", "actual", "version"])
def test_a_key_that_predictions_have_a_column_of_is_refused(key: str) -> None:
    spec = KIOSK.model_copy(update={"key": (key,)})
    with pytest.raises(SpecError, match=f"key: '{key}' is a column of the predictions"):
        predict(spec, Remembering(), sales().assign(**{key: 1.0}), DAY)


def published(storage: Storage, days: int = 30) -> Pipeline:
    pipeline = Pipeline(KIOSK, storage)
    whole = sales(days)
    rows = {
        str(key): pa.Table.from_pandas(part.drop(columns="partition"), preserve_index=False)
        for key, part in whole.groupby("partition")
    }
    pipeline.lake.replace(Table.PARTITIONS, rows)
    return pipeline


def champion(pipeline: Pipeline, as_of: str) -> str:
    """Commit and promote a model trained on the first days."""
    rows = sales()
    model = trained_on(KIOSK, rows)
    golden = golden_sample(KIOSK, model, rows[rows["partition"] < as_of])
    version = f"{as_of}-0123456789ab"
    pipeline.registry.commit(version, {"model.skops": dump_model(model), "golden.parquet": golden})
    pipeline.registry.promote(version, as_of, {})
    return version


def test_a_partition_is_scored_by_the_champion_in_force_as_of_it(storage: Storage) -> None:
    pipeline = published(storage)
    old, new = champion(pipeline, "2024-01-12"), champion(pipeline, "2024-01-21")
    assert score(pipeline, DAY) == Scored(DAY, old, 4, changed=True)
    assert score(pipeline, "2024-01-21") == Scored("2024-01-21", new, 4, changed=True)


def test_what_is_published(storage: Storage) -> None:
    pipeline = published(storage)
    version = champion(pipeline, "2024-01-12")
    score(pipeline, DAY)
    table = pipeline.lake.read(Table.PREDICTIONS)
    own = sales().query("partition == @DAY")
    assert {field.name: str(field.type) for field in table.schema} == {
        "at": "timestamp[us, tz=UTC]",
        "prediction": "double",
        "actual": "double",
        "version": "string",
        "partition": "string",
    }
    assert table.column("actual").to_pylist() == own["sold"].tolist()
    assert set(table.column("version").to_pylist()) == {version}
    expected = predict(KIOSK, pipeline.registry.load(version), sales(), DAY)
    assert table.column("prediction").to_pylist() == expected["prediction"].tolist()


def test_scoring_twice_changes_nothing(storage: Storage) -> None:
    pipeline = published(storage)
    champion(pipeline, "2024-01-12")
    score(pipeline, DAY)
    before = pipeline.lake.version(Table.PREDICTIONS)
    assert not score(pipeline, DAY).changed
    assert pipeline.lake.version(Table.PREDICTIONS) == before


def test_no_champion_is_nothing_to_do(storage: Storage) -> None:
    pipeline = published(storage)
    champion(pipeline, "2024-01-21")
    with pytest.raises(NothingToDoError, match=r"kiosk 2024-01-20: no champion .*evergreen train kiosk"):
        score(pipeline, DAY)


def test_a_partition_that_is_not_published(storage: Storage) -> None:
    pipeline = published(storage, days=10)
    champion(pipeline, "2024-01-12")
    with pytest.raises(NotFoundError, match=r"kiosk 2024-01-20: .* run evergreen ingest kiosk --partition"):
        score(pipeline, DAY)


def test_nothing_published_at_all(storage: Storage) -> None:
    with pytest.raises(NotFoundError, match="not published"):
        score(Pipeline(KIOSK, storage), DAY)


def test_a_wrong_key(storage: Storage) -> None:
    with pytest.raises(PartitionError, match="yesterday"):
        score(Pipeline(KIOSK, storage), "yesterday")


def test_two_rows_of_one_key_are_refused(storage: Storage) -> None:
    pipeline = published(storage)
    champion(pipeline, "2024-01-12")
    own = sales().query("partition == @DAY").drop(columns="partition")
    twice = pa.Table.from_pandas(pd.concat([own, own]), preserve_index=False)
    pipeline.lake.replace(Table.PARTITIONS, {DAY: twice})
    with pytest.raises(RefusedError, match=r"4 rows have no key of their own in at"):
        score(pipeline, DAY)
    assert pipeline.lake.partitions(Table.PREDICTIONS) == []


def test_a_snapshot_with_classes(storage: Storage) -> None:
    pipeline = Pipeline(IRIS, storage)
    draw = np.random.default_rng(0)
    rows = pa.table(
        {
            "flower": list(range(6)),
            "width": draw.normal(size=6),
            "species": ["setosa", "virginica", None] * 2,
        }
    )
    pipeline.lake.replace(Table.PARTITIONS, {"snapshot": rows})
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression().fit(
        rows.select(["width"]).to_pandas(), ["setosa", "virginica", "setosa"] * 2
    )
    golden = golden_sample(IRIS, model, rows.to_pandas().assign(partition="snapshot"))
    files = {"model.skops": dump_model(model), "golden.parquet": golden}
    pipeline.registry.commit("snapshot-0123456789ab", files)
    pipeline.registry.promote("snapshot-0123456789ab", "snapshot", {})
    assert score(pipeline, "snapshot").rows == 6
    table = pipeline.lake.read(Table.PREDICTIONS)
    assert set(table.column("prediction").to_pylist()) <= {"setosa", "virginica"}
    assert table.column("actual").to_pylist() == ["setosa", "virginica", None] * 2
    assert table.schema.field("actual").type == pa.string()
