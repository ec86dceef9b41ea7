"""Shared feature sets and lookups as they are described: found, and refused with file and key."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pytest

from evergreen.errors import SpecError
from evergreen.spec import Spec, parse_spec, pipeline_names

SALES = """\
name: sales
description: Sales
owner: team
schedule: "@daily"
start: 2024-01-01
partition: daily
sources:
  sales: {file: {path: sales.csv, time_column: at}}
features: FEATURES
task: regression
target: sold
training: {metric: mae, holdout: 7 days, candidates: [{estimator: sklearn.linear_model.Ridge}]}
"""
SET = 'description: d\nowner: o\nfunction: "features.py:build"\n'
LOOKUP = "{pipeline: prices, on: {shop: shop}, columns: [price], max_age: 2 days}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of pipelines with the sets `clock` and `demand`, which looks back five days."""
    for name, more in (("clock", ""), ("demand", "look_back: 5 days\n")):
        (tmp_path / "feature_sets" / name).mkdir(parents=True)
        (tmp_path / "feature_sets" / name / "feature_set.yaml").write_text(SET + more)
    for name in ("sales", "prices"):
        (tmp_path / name).mkdir()
    (tmp_path / "prices" / "pipeline.yaml").write_text("")
    return tmp_path


def parse(folder: Path, features: str, text: str = SALES) -> Spec:
    file = folder / "sales" / "pipeline.yaml"
    file.write_text(text.replace("FEATURES", features))
    return parse_spec(file)


def test_sets_are_found_by_name_and_keep_their_order(folder: Path):
    spec = parse(folder, '{function: "features.py:build", look_back: 3 days, sets: [demand, clock]}')
    assert [shared.name for shared in spec.feature_sets] == ["demand", "clock"]
    assert spec.feature_sets[0].folder == folder / "feature_sets" / "demand"
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert "feature_sets" not in spec.model_dump()


@pytest.mark.parametrize(
    ("features", "days"),
    [
        ("{}", 0),
        ('{function: "features.py:build", look_back: 1 month, sets: [demand]}', 29),
        ('{function: "features.py:build", look_back: 3 partitions, sets: [demand]}', 5),
        ("{sets: [clock]}", 0),
        ("{sets: [clock, demand]}", 5),
        ('{function: "features.py:build", look_back: 3 days, sets: [demand]}', 5),
        ('{function: "features.py:build", look_back: 8 days, sets: [demand]}', 8),
    ],
)
def test_the_look_back_is_the_farthest_of_all(folder: Path, features: str, days: int):
    spec = parse(folder, features)
    assert spec.looks_back_to("2024-03-01") == spec.calendar.shift("2024-03-01", -days)


def test_the_folder_of_sets_is_no_pipeline(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(folder))
    parse(folder, "{sets: [clock]}")
    assert pipeline_names() == ["prices", "sales"]
    shutil.copytree(folder / "sales", folder / "feature_sets", dirs_exist_ok=True)
    file = folder / "feature_sets" / "pipeline.yaml"
    file.write_text(file.read_text().replace("name: sales", "name: feature_sets"))
    with pytest.raises(SpecError, match="'feature_sets' is the folder of shared feature sets"):
        parse_spec(file)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ("{sets: [clock, demand, clock]}", "features.sets: 'clock' is named twice"),
        (
            "{sets: [clock, calendar]}",
            r"features.sets.1: no feature set 'calendar' in .*feature_sets \(there: clock, demand\)",
        ),
        ("{sets: [../sales]}", r"features.sets.0: write a name of a-z"),
        ("{}\nfeature_sets: []", "feature_sets: no such key: name shared sets in features.sets"),
        (
            "{lookups: {price: " + LOOKUP.replace("prices", "offers") + "}}",
            "price.pipeline: no pipeline 'offers' in",
        ),
        ("{lookups: {price: " + LOOKUP.replace("prices", "sales") + "}}", "'sales' itself: look back with"),
        ("{lookups: {partitions: " + LOOKUP + "}}", "'partitions' is the name of the pipeline's own rows"),
        (
            "{lookups: {a: "
            + LOOKUP.replace("[price]", "[b_c]")
            + ", a_b: "
            + LOOKUP.replace("[price]", "[c]")
            + "}}",
            "features.lookups: the column 'a_b_c' is repeated",
        ),
        ("{lookups: {price: {pipeline: prices}}}", "features.lookups.price.on: this key is required"),
    ],
)
def test_a_wrong_description_is_refused_with_file_and_key(folder: Path, features: str, message: str):
    with pytest.raises(SpecError, match=message) as caught:
        parse(folder, features)
    assert str(caught.value).startswith(f"{folder / 'sales' / 'pipeline.yaml'}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("owner: o\n", "", "owner: this key is required"),
        ("owner: o", "owner: o\nfolder: /etc", "folder: no such key"),
        ("owner: o", "owner: o\nlookback: 2 days", "lookback: no such key, did you mean 'look_back'"),
        ("features.py:build", "features.build", "function: write a file and a function"),
        ("description: d", "description: [d", "not valid YAML"),
    ],
)
def test_a_wrong_set_is_refused_with_its_own_file(folder: Path, old: str, new: str, message: str):
    file = folder / "feature_sets" / "clock" / "feature_set.yaml"
    file.write_text(SET.replace(old, new))
    with pytest.raises(SpecError, match=message) as caught:
        parse(folder, "{sets: [clock]}")
    assert str(caught.value).startswith(str(file))


def test_a_snapshot_looks_nothing_up(folder: Path):
    text = SALES.replace("partition: daily", "partition: snapshot\nkey: [shop]").replace("7 days", "20%")
    with pytest.raises(
        SpecError, match=r"features.lookups.price: a snapshot has no time to look anything up at"
    ):
        parse(folder, "{lookups: {price: " + LOOKUP + "}}", text)


def test_the_weight_is_not_the_target(folder: Path):
    text = SALES.replace("{metric: mae", "{weight: sold, metric: mae")
    with pytest.raises(SpecError, match=r"training.weight: 'sold' is a target, name another column"):
        parse(folder, "{}", text)
