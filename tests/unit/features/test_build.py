from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from evergreen.errors import SpecError
from evergreen.features.build import build_features, in_order, rows_to_score
from evergreen.spec import Spec, load_spec, parse_spec

DAILY = """
name: sales
description: Sales
owner: team
schedule: "@daily"
start: 2024-01-01
partition: daily
sources:
  sales: {file: {path: sales.csv, time_column: at}}
features: {function: "features.py:build", look_back: 2 days}
task: regression
target: sold
training:
  metric: mae
  candidates: [{estimator: sklearn.linear_model.Ridge}]
"""
GOOD = "def build(rows):\n    return rows[['price']] * 2\n"


def spec_with(folder: Path, source: str | None, text: str = DAILY) -> Spec:
    place = folder / "sales"
    place.mkdir(exist_ok=True)
    (place / "pipeline.yaml").write_text(text)
    if source is not None:
        (place / "features.py").write_text(source)
    return parse_spec(place / "pipeline.yaml")


def rows_of(days: int = 3) -> pd.DataFrame:
    at = pd.date_range("2024-01-01", periods=days, freq="D", tz="UTC")
    return pd.DataFrame(
        {
            "at": at,
            "price": [float(n) for n in range(days)],
            "sold": range(10, 10 + days),
            "partition": at.strftime("%Y-%m-%d"),
        }
    )


def test_the_features_are_what_the_function_returns(tmp_path):
    features = build_features(spec_with(tmp_path, GOOD), rows_of())
    assert features["price"].tolist() == [0.0, 2.0, 4.0]


def test_the_column_of_the_lake_is_no_feature(tmp_path):
    source = "def build(rows):\n    return rows.drop(columns=['at', 'sold'])\n"
    with pytest.raises(
        SpecError, match=r"returned 'partition' as a feature, .*: leave it out, as in rows.dro"
    ):
        build_features(spec_with(tmp_path, source), rows_of())
    allowed = source.replace("'sold'", "'sold', 'partition'")
    assert build_features(spec_with(tmp_path, allowed), rows_of()).columns.tolist() == ["price"]


def test_the_function_sees_the_rows_in_order_and_the_caller_gets_them_in_its_own(tmp_path):
    source = "def build(rows):\n    return rows[['price']].assign(place=range(len(rows)))\n"
    shuffled = rows_of().iloc[[2, 0, 1]]
    features = build_features(spec_with(tmp_path, source), shuffled)
    assert features.index.tolist() == [2, 0, 1]
    assert features["place"].tolist() == [2, 0, 1]


def test_without_a_function_all_columns_but_key_time_target_and_partition_are_features(tmp_path):
    text = DAILY.replace('features: {function: "features.py:build", look_back: 2 days}\n', "key: [shop]\n")
    rows = rows_of().assign(shop=["a", "b", "c"], area=[1, 2, 3])
    features = build_features(spec_with(tmp_path, None, text), rows)
    assert list(features.columns) == ["price", "area"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "no file"),
        ("def other(rows): ...\n", "has no function 'build'"),
        ("def build(rows:\n", "cannot be loaded: SyntaxError"),
        ("import no_such_module_anywhere\n", "cannot be loaded: ModuleNotFoundError"),
        ("def build(rows): return rows[['absent']]\n", "failed with KeyError"),
        ("def build(rows): return [1, 2]\n", "returned list: return a DataFrame"),
        ("def build(rows): return rows[['price']].head(1)\n", "returned 1 rows for 3"),
        ("def build(rows): return rows[['price']].set_index(rows['at'])\n", "another index"),
        ("def build(rows): return rows[['price']].reset_index(drop=True)\n", "another index"),
        ("def build(rows): return rows[['price']][::-1]\n", "returned its rows in another order"),
        ("def build(rows): return rows[[]]\n", "returned no columns"),
        ("def build(rows): return rows[['price', 'price']]\n", "columns twice: price"),
        ("def build(rows): return rows[['price']].set_axis([0], axis=1)\n", "names are not text"),
        ("def build(rows): return rows[['price', 'sold']]\n", "returned the target 'sold'"),
    ],
)
def test_a_wrong_function_is_refused_in_one_line(tmp_path, source, message):
    with pytest.raises(SpecError, match=message) as caught:
        build_features(spec_with(tmp_path, source), rows_of())
    assert "\n" not in str(caught.value)
    assert "sales" in str(caught.value)


def test_rows_to_score_are_the_partition_and_its_look_back_with_its_target_hidden(tmp_path):
    seen = rows_to_score(spec_with(tmp_path, GOOD), rows_of(5), "2024-01-04")
    assert seen["partition"].tolist() == ["2024-01-02", "2024-01-03", "2024-01-04"]
    assert seen["sold"].tolist()[:2] == [11, 12]
    assert seen["sold"].isna().tolist() == [False, False, True]


def two_targets(folder: Path, source: str | None, more: str = "") -> Spec:
    """One of the two pipelines that predict `sold` and `returned`."""
    text = DAILY.replace("target: sold", "target: [returned, sold]") + more
    if source is None:
        text = text.replace('features: {function: "features.py:build", look_back: 2 days}\n', "")
    place = folder / "sales"
    place.mkdir()
    (place / "pipeline.yaml").write_text(text)
    (place / "features.py").write_text(source or "")
    return load_spec("sales_sold", folder)


def test_the_other_targets_of_a_description_are_hidden_like_its_own(tmp_path):
    seen = rows_to_score(two_targets(tmp_path, GOOD), rows_of(5).assign(returned=range(5)), "2024-01-04")
    assert seen["returned"].tolist()[:2] == [1, 2]
    assert seen[["sold", "returned"]].isna().all(axis=1).tolist() == [False, False, True]


def test_with_delayed_labels_others_that_come_with_their_rows_are_hidden_still(tmp_path):
    labels = 'labels: {source: {file: {path: "{partition}.csv"}}, delay: 9 days}\n'
    seen = rows_to_score(
        two_targets(tmp_path, GOOD, labels), rows_of(5).assign(returned=range(5)), "2024-01-04"
    )
    assert "sold" not in seen
    assert seen["returned"].isna().tolist() == [False, False, True]


def test_other_targets_are_no_features(tmp_path):
    rows = rows_of().assign(returned=[1, 2, 3])
    assert list(build_features(two_targets(tmp_path, None), rows)) == ["price"]
    spec = spec_with(tmp_path, "def build(rows):\n    return rows[['price', 'returned']]\n")
    assert list(build_features(spec, rows)) == ["price", "returned"]
    hidden = spec.model_copy(update={"other_targets": ("returned",)})
    with pytest.raises(SpecError, match="returned the target 'returned' as a feature: leave it out"):
        build_features(hidden, rows)


def test_the_rows_given_are_left_as_they_are(tmp_path):
    rows = rows_of(5)
    before = rows.copy(deep=True)
    rows_to_score(spec_with(tmp_path, GOOD), rows, "2024-01-04")
    build_features(spec_with(tmp_path, GOOD), rows.iloc[::-1])
    pd.testing.assert_frame_equal(rows, before)


def test_rows_without_the_columns_that_name_them_are_refused(tmp_path):
    with pytest.raises(SpecError, match="no column at"):
        in_order(spec_with(tmp_path, GOOD), rows_of().drop(columns="at"))


SPOILERS = {
    "values": "rows.loc[:, 'price'] = 0.0",
    "columns": "rows['extra'] = 1; del rows['sold']",
    "column names": "rows.columns = [name.upper() for name in rows.columns]",
    "order": "rows.sort_values('price', ascending=False, inplace=True)",
    "index": "rows.reset_index(drop=True, inplace=True)",
    "another index": "rows.index = rows['at']",
    "a shared block": (
        "array = rows['price'].to_numpy()\n    array.flags.writeable = True\n    array[:] = 0.0"
    ),
    "lists": "rows['tags'].iloc[0].append('spoilt')",
    "dicts in lists": "rows['parts'].iloc[0][0]['n'] = 9",
    "an earlier frame": "KEPT[0].loc[:, 'price'] = -1.0",
    "earlier features": "KEPT[1]['price'] += 5.0",
    "a block of earlier features": (
        "array = KEPT[1]['price'].to_numpy()\n    array.flags.writeable = True\n    array[:] = 7.0"
    ),
}


@pytest.mark.parametrize("spoiler", SPOILERS.values(), ids=SPOILERS)
def test_what_a_function_does_to_its_rows_changes_neither_rows_nor_features(tmp_path, spoiler):
    source = (
        "KEPT = []\ndef build(rows):\n    found = rows[['price']] * 2\n    KEPT.extend([rows, found])\n"
        f"    {spoiler}\n    return found\n"
    )
    spec, rows = spec_with(tmp_path, source), rows_of(5)
    rows["tags"] = pd.Series([["a"] for _ in range(5)], dtype=object)
    rows["parts"] = pd.Series([({"n": 1},) for _ in range(5)], dtype=object)
    before = rows.to_dict("list")
    first = build_features(spec, rows)
    once = first["price"].tolist()
    build_features(spec, rows)
    assert first["price"].tolist() == once
    assert rows.to_dict("list") == {
        **before,
        "tags": [["a"]] * 5,
        "parts": [({"n": 1},)] * 5,
    }
    assert rows.index.tolist() == [0, 1, 2, 3, 4]


def test_rows_sorted_and_counted_anew_are_not_taken_for_the_rows_in_their_order(tmp_path):
    source = (
        "def build(rows):\n    rows.sort_values('price', ascending=False, inplace=True, ignore_index=True)\n"
        "    return rows[['price']]\n"
    )
    with pytest.raises(SpecError, match="under another index: give one row of features for each row"):
        build_features(spec_with(tmp_path, source), rows_of())
