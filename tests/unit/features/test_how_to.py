"""The examples of docs/how-to/features.md, run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from evergreen.candidates.estimators import check_candidates
from evergreen.errors import SpecError
from evergreen.features.build import build_features
from evergreen.lake import PARTITION, Table
from evergreen.pipeline import Pipeline
from evergreen.rows.frame import to_frame
from evergreen.scoring.predict import partition_features
from evergreen.scoring.score import rows_with_look_back
from evergreen.spec import parse_spec
from evergreen.storage import Storage
from evergreen.training_set.assemble import TrainingSet, assemble
from evergreen.training_set.read import read_window

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "how-to" / "features.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`([\w/.]+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
LEAKS = re.findall(r"^\| `(rows.*?)` \| (.*?) \|$", PAGE, re.MULTILINE)
AS_OF = "2024-06-10"


def sales() -> pa.Table:
    """Forty days of hourly sales of two flavours in turn, with a day that is missing."""
    random = np.random.default_rng(5)
    at = pd.date_range("2024-05-01", AS_OF, freq="h", tz="UTC", inclusive="left").as_unit("us")
    at = at[at.normalize() != pd.Timestamp("2024-05-20", tz="UTC")]
    temperature = random.normal(20, 5, len(at))
    return pa.table(
        {
            "at": pa.array(at, pa.timestamp("us", "UTC")),
            "flavour": np.where(np.arange(len(at)) % 2, "lemon", "mint"),
            "temperature": temperature,
            "sky": random.choice(["clear", "mist", "rain"], len(at)),
            "sold": np.round(2 * temperature + random.normal(0, 3, len(at))),
            PARTITION: at.strftime("%Y-%m-%d").to_numpy(str),
        }
    )


def prices() -> pa.Table:
    """Lemon's price rises at noon on 5 June, as it was announced two hours later; mint's is that of April."""
    holds = ["2024-04-02T00:00", "2024-05-30T00:00", "2024-06-05T12:00"]
    announced = ["2024-04-01T00:00", "2024-05-28T00:00", "2024-06-05T14:00"]
    times = {
        name: pa.array(pd.to_datetime(values, utc=True).as_unit("us"), pa.timestamp("us", "UTC"))
        for name, values in (("holds_from", holds), ("announced", announced))
    }
    return pa.table(
        {
            "flavour": ["mint", "lemon", "lemon"],
            **times,
            "price": [1.5, 2.0, 2.5],
            PARTITION: [day[:10] for day in holds],
        }
    )


@pytest.fixture
def kiosk(tmp_path: Path, storage: Storage) -> Pipeline:
    """The page's folder of pipelines, with rows published in both."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    opened = {}
    for name, rows in (("prices", prices()), ("kiosk", sales())):
        opened[name] = Pipeline(parse_spec(tmp_path / name / "pipeline.yaml"), storage)
        frame = rows.to_pandas()
        contents = {
            key: rows.filter(pa.array(frame[PARTITION] == key)).drop_columns([PARTITION])
            for key in frame[PARTITION].unique()
        }
        opened[name].lake.replace(Table.PARTITIONS, contents)
    return opened["kiosk"]


def training_set(pipeline: Pipeline) -> TrainingSet:
    rows, versions = read_window(pipeline, AS_OF)
    return assemble(pipeline.spec, rows, AS_OF, versions, {})


def test_the_page_has_the_examples_that_are_run_here():
    assert sorted(FILES) == [
        "feature_sets/clock/feature_set.yaml",
        "feature_sets/clock/features.py",
        "kiosk/features.py",
        "kiosk/pipeline.yaml",
        "prices/pipeline.yaml",
    ]
    assert len(LEAKS) == 7


def test_the_examples_give_what_the_page_says(kiosk):
    found = training_set(kiosk)
    assert list(found.features.columns) == [
        *("hour_sin", "hour_cos", "weekday_sin", "weekday_cos"),
        *("temperature", "sky", "warm_weekend", "price", "sold_yesterday", "sold_last_week"),
    ]
    assert found.lineage["table_versions"].keys() == {"partitions", "offer"}
    check_candidates(kiosk.spec)

    rows = found.rows.set_index("at")
    sold = rows["sold"]
    morning = found.features.set_index(rows.index).loc["2024-06-05T09:00Z"]
    assert morning["sold_yesterday"] == sold["2024-06-04T09:00Z"]
    assert morning["sold_last_week"] == sold["2024-05-29T09:00Z"]
    after_the_gap = found.features.set_index(rows.index).loc["2024-05-21T09:00Z"]
    assert np.isnan(after_the_gap["sold_yesterday"])


def test_a_price_is_seen_when_it_was_announced_and_till_it_is_too_old(kiosk):
    rows = training_set(kiosk).rows.set_index("at")
    lemon = rows.loc[rows["flavour"] == "lemon", "offer_price"]
    assert lemon[:"2024-05-29T23:00Z"].dropna().unique().tolist() == [2.0]
    assert lemon["2024-06-05T13:00Z":"2024-06-05T15:00Z"].tolist() == [2.0, 2.5]
    mint = rows.loc[rows["flavour"] == "mint", "offer_price"]
    assert mint.index.min() >= pd.Timestamp("2024-05-11", tz="UTC")
    assert mint.isna().all()


def test_a_day_alone_has_the_features_it_has_in_training(kiosk):
    rows, _ = read_window(kiosk, AS_OF)
    whole = build_features(kiosk.spec, rows)
    for day in ("2024-05-21", "2024-06-05", "2024-06-09"):
        alone = partition_features(kiosk.spec, to_frame(rows_with_look_back(kiosk, day)), day)
        trained = whole[(rows[PARTITION] == day).to_numpy()]
        pd.testing.assert_frame_equal(
            alone.reset_index(drop=True), trained.reset_index(drop=True), rtol=0, atol=0
        )


@pytest.mark.parametrize(("returned", "said"), LEAKS)
def test_what_leaks_is_refused_with_the_words_of_the_page(kiosk, returned, said):
    source = f"def build(rows):\n    return {returned}\n"
    (kiosk.spec.folder / "features.py").write_text(source)
    with pytest.raises(SpecError, match=re.escape(said)) as caught:
        training_set(kiosk)
    assert str(caught.value).startswith("kiosk: ")
    assert "\n" not in str(caught.value)
