"""Which columns are read and which of them functions get, over kinds of descriptions."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from evergreen.errors import SpecError
from evergreen.features.build import build_features
from evergreen.features.columns import columns_given, columns_read, columns_trained_on
from evergreen.features.stored import StoredFeatures
from evergreen.spec import Spec, parse_spec
from evergreen.training_set.digest import spec_digest

TEXT = """
name: shop
description: Sales
owner: team
schedule: "@daily"
start: 2024-01-01
partition: daily
sources: {rows: {file: {path: "{partition}.csv", time_column: at}}}
features: {columns: [price, stock]}
task: regression
target: sold
training: {metric: mae, candidates: [{estimator: sklearn.linear_model.Ridge}]}
"""
OTHER = TEXT.replace("name: shop", "name: places")
SNAPSHOT = {
    "start: 2024-01-01\npartition: daily": "partition: snapshot\nkey: [who]",
    ", time_column: at": "",
    "metric: mae": "metric: mae, holdout: 20%",
}
LOOKUP = "place: {pipeline: places, on: {where: at_place}, columns: [size], max_age: 9 days}"
THERE = ["at", "who", "where", "price", "stock", "sold", "weight", "kind", "region", "late", "partition"]
THERE += ["other", "place_size"]
GIVEN = {"at", "price", "stock", "sold", "partition"}
NOTHING: set[str] = set()


@pytest.fixture
def describe(tmp_path: Path):
    """Writes a folder of pipelines and reads the description with these changes."""

    def written(*changes: dict[str, str], function: str = "") -> Spec:
        text = TEXT
        for old, new in [pair for change in changes for pair in change.items()]:
            assert old in text
            text = text.replace(old, new)
        if function:
            text = text.replace("features: {", 'features: {function: "features.py:build", ')
        for name, content in {"shop": text, "places": OTHER}.items():
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / "pipeline.yaml").write_text(content)
            (tmp_path / name / "features.py").write_text(function)
        return parse_spec(tmp_path / "shop" / "pipeline.yaml")

    return written


FAIR = "gate: {fairness: [{column: kind, metric: mae, max_difference: 1}]}\ntarget: sold"
LATE = "labels: {delay: 1 day, source: {file: {path: l.csv, time_column: at}}}\ntask:"


@pytest.mark.parametrize(
    ("change", "given", "trained_on", "read"),
    [
        pytest.param({}, NOTHING, NOTHING, NOTHING, id="plain"),
        pytest.param({"task:": "key: [who]\ntask:"}, {"who"}, NOTHING, NOTHING, id="key"),
        pytest.param(
            {"stock]": f"stock], lookups: {{{LOOKUP}}}"}, {"place_size"}, {"where"}, NOTHING, id="lookup"
        ),
        pytest.param({"mae": "mae, weight: weight"}, NOTHING, {"weight"}, NOTHING, id="weight"),
        pytest.param({"task:": "gate: {slices: [region]}\ntask:"}, NOTHING, {"region"}, NOTHING, id="slices"),
        pytest.param({"target: sold": FAIR}, NOTHING, {"kind"}, NOTHING, id="fairness"),
        pytest.param(
            {"task:": "monitoring: {performance: {slices: [late]}}\ntask:"},
            NOTHING,
            NOTHING,
            {"late"},
            id="nights",
        ),
        pytest.param({"task:": LATE}, NOTHING, NOTHING, NOTHING, id="labels"),
        pytest.param(
            SNAPSHOT | {"holdout: 20%": "holdout: 20%, tuning: {group: region}"},
            {"who"},
            {"region"},
            NOTHING,
            id="snapshot and group",
        ),
    ],
)
def test_what_is_given_trained_on_and_read(describe, change, given, trained_on, read):
    spec = describe(change)
    own = GIVEN | given if spec.time_column else GIVEN - {"at"} | given
    assert columns_given(spec, THERE) == [name for name in THERE if name in own]
    assert columns_trained_on(spec, THERE) == [name for name in THERE if name in own | trained_on]
    assert columns_read(spec, THERE) == [name for name in THERE if name in own | trained_on | read]


def test_a_clustering_has_no_target_to_read(describe):
    spec = describe({"task: regression\ntarget: sold": "task: clustering", "mae": "silhouette"})
    assert columns_read(spec, THERE) == ["at", "price", "stock", "partition"]


def test_without_the_key_all_are_read_and_nothing_else_changes(describe):
    spec = describe({"features: {columns: [price, stock]}\n": ""})
    assert columns_read(spec, THERE) == columns_trained_on(spec, THERE) == columns_given(spec, THERE) == THERE
    assert "columns" not in spec.features.model_dump()
    assert "columns" not in StoredFeatures.of(spec)._described["features"]


def test_another_choice_is_another_version(describe):
    digests = {
        spec_digest(describe(change))
        for change in ({}, {"price, stock": "price"}, {"features: {columns: [price, stock]}\n": ""})
    }
    assert len(digests) == 3


def test_a_version_keeps_its_choice(describe):
    spec, later = describe(), describe({"price, stock": "price"})
    stored = StoredFeatures.of(spec, ["price", "stock"])
    assert not stored.same_as(later)
    own = stored.given_to(later, "2024-01-01-0123456789ab", {})
    assert columns_read(own, THERE) == columns_read(spec, THERE)


ROWS = pd.DataFrame(
    {
        "at": pd.date_range("2024-01-01", periods=3, freq="h", tz="UTC"),
        "price": [1.0, 2.0, 3.0],
        "stock": [3, 2, 1],
        "sold": [5, 6, 7],
        "other": [0, 0, 0],
        "partition": "2024-01-01",
    }
)


def test_a_function_gets_these_whoever_has_read_the_rows(describe):
    seen = "def build(rows):\n    return rows.drop(columns=['sold', 'partition'])\n"
    assert list(build_features(describe(function=seen), ROWS)) == ["at", "price", "stock"]
    assert list(build_features(describe(), ROWS)) == ["price", "stock"]


@pytest.mark.parametrize(
    "how", ["rows['other']", "rows[['other']]", "rows.other", "rows.drop(columns='other')"]
)
def test_a_function_that_asks_for_another_is_refused_with_the_remedy(describe, how):
    spec = describe(function=f"def build(rows):\n    return rows[['price']].assign(x={how})\n")
    with pytest.raises(SpecError, match=r"shop: features .*other.*name it in features\.columns") as refused:
        build_features(spec, ROWS)
    assert "\n" not in str(refused.value)


def test_a_column_that_the_rows_do_not_have_is_named(describe):
    with pytest.raises(SpecError, match=r"features.columns: the rows have no column 'stock'"):
        build_features(describe(), ROWS.drop(columns="stock"))


@pytest.mark.parametrize(
    ("written", "said"), [("[price, price]", "'price' is named twice"), ("[]", "features.columns")]
)
def test_a_choice_of_nothing_or_twice_the_same_is_refused(describe, written, said):
    with pytest.raises(SpecError, match=said):
        describe({"[price, stock]": written})
