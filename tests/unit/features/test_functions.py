from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from evergreen.errors import SpecError
from evergreen.features.build import build_features, each_function
from evergreen.features.functions import ALL_COLUMNS, features_digest, load_functions
from evergreen.spec import Spec

ROWS = pd.DataFrame(
    {
        "at": pd.date_range("2024-01-01", periods=3, freq="D", tz="UTC"),
        "price": [0.0, 1.0, 2.0],
        "sold": [10, 11, 12],
        "pieces": [1, 2, 3],
        "partition": ["2024-01-01", "2024-01-02", "2024-01-03"],
    }
)
TWICE = "def build(rows):\n    return rows[['price']] * 2\n"


def simple(shops, features: str) -> Spec:
    """The pipeline with these features and no lookups, its rows named by time alone."""
    text = (shops.folder / "sales" / "pipeline.yaml").read_text()
    first, last = text.index("features:"), text.index("task:")
    (shops.folder / "sales" / "pipeline.yaml").write_text(
        text[:first] + f"features: {features}\n" + text[last:]
    )
    return shops.open(changes={"key: [shop, at]\n": ""} if "key:" in text else {}).spec


def write_set(folder: Path, name: str, source: str, look_back: str = "0 days") -> None:
    place = folder / "feature_sets" / name
    place.mkdir(parents=True, exist_ok=True)
    (place / "feature_set.yaml").write_text(
        f'description: d\nowner: o\nfunction: "own/build.py:build"\nlook_back: {look_back}\n'
    )
    (place / "own").mkdir(exist_ok=True)
    (place / "own" / "build.py").write_text(source)


def test_the_columns_of_the_sets_come_first_in_their_order(shops):
    write_set(shops.folder, "one", "def build(rows):\n    return rows[[]].assign(b=1, a=rows['price'])\n")
    write_set(shops.folder, "two", "def build(rows):\n    return rows[[]].assign(place=range(len(rows)))\n")
    (shops.folder / "sales" / "features.py").write_text(TWICE)
    spec = simple(shops, '{function: "features.py:build", sets: [two, one]}')
    found = build_features(spec, ROWS.iloc[[2, 0, 1]])
    assert list(found.columns) == ["place", "b", "a", "price"]
    assert found["place"].tolist() == [2, 0, 1]
    assert found["price"].tolist() == [4.0, 0.0, 2.0]
    assert list(load_functions(spec)) == [
        "feature_sets/two/own/build.py:build",
        "feature_sets/one/own/build.py:build",
        "features.py:build",
    ]


def test_sets_without_a_function_are_all_there_is(shops):
    write_set(shops.folder, "one", "def build(rows):\n    return rows[[]].assign(b=1)\n")
    assert list(build_features(simple(shops, "{sets: [one]}"), ROWS).columns) == ["b"]


def test_without_any_function_all_columns_but_the_weight_too_are_features(shops):
    spec = simple(shops, "{}")
    assert list(load_functions(spec)) == [ALL_COLUMNS]
    assert list(build_features(spec, ROWS).columns) == ["price", "pieces"]
    weighted = shops.open(changes={"  metric: mae": "  weight: pieces\n  metric: mae"}).spec
    assert list(build_features(weighted, ROWS).columns) == ["price"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            TWICE,
            "the column 'price' comes from feature_sets/one/own/build.py:build and from features.py:build",
        ),
        (
            "def build(rows): return rows[['sold']]\n",
            r"features \(feature_sets/one.*returned the target 'sold'",
        ),
        (
            "def build(rows): return rows[['absent']]\n",
            r"feature_sets/one/own/build.py:build\) failed with KeyE",
        ),
        ("def build(rows): return rows[['at']].head(1)\n", "returned 1 rows for 3"),
        ("def other(rows): ...\n", "features.sets.0: .*has no function 'build'"),
        ("def build(rows:\n", "features.sets.0: .*cannot be loaded: SyntaxError"),
        (None, "features.sets.0: no file .*build.py"),
    ],
)
def test_a_set_that_is_wrong_is_refused_in_one_line_that_names_it(shops, source, message):
    write_set(shops.folder, "one", source or "")
    if source is None:
        (shops.folder / "feature_sets" / "one" / "own" / "build.py").unlink()
    (shops.folder / "sales" / "features.py").write_text(TWICE)
    spec = simple(shops, '{function: "features.py:build", sets: [one]}')
    with pytest.raises(SpecError, match=message) as caught:
        build_features(spec, ROWS)
    assert str(caught.value).startswith("sales: ")
    assert "\n" not in str(caught.value)


def test_an_edited_file_is_loaded_anew_and_has_another_digest(shops):
    own = shops.folder / "sales" / "features.py"
    own.write_text(TWICE)
    spec = simple(shops, '{function: "features.py:build"}')
    before = build_features(spec, ROWS)["price"].tolist(), features_digest(spec)
    own.write_text(TWICE.replace("2", "3"))
    after = build_features(spec, ROWS)["price"].tolist(), features_digest(spec)
    assert before[0] == [0.0, 2.0, 4.0]
    assert after[0] == [0.0, 3.0, 6.0]
    assert before[1] != after[1]
    assert not (shops.folder / "sales" / "__pycache__").exists()


def test_the_digest_covers_the_code_and_the_look_back_of_sets(shops):
    digests = []
    for source, look_back in ((TWICE, "0 days"), (TWICE + "# more\n", "0 days"), (TWICE, "1 days")):
        write_set(shops.folder, "one", source, look_back)
        digests.append(features_digest(simple(shops, "{sets: [one]}")))
    write_set(shops.folder, "one", TWICE)
    assert features_digest(simple(shops, "{sets: [one]}")) == digests[0]
    assert len(set(digests)) == 3
    assert features_digest(simple(shops, "{}")) not in digests


def test_an_unchanged_file_is_loaded_once(shops):
    spec = simple(shops, '{function: "features.py:build", sets: [clock]}')
    first, second = load_functions(spec), load_functions(spec)
    assert all(first[origin] is second[origin] for origin in first)
    assert len(first) == 2


def test_each_function_alone_has_the_look_back_it_declares(shops):
    alone = list(each_function(shops.open().spec))
    assert [part.looks_back_to("2024-03-10") for part in alone] == ["2024-03-10", "2024-03-03", "2024-03-08"]
    assert [list(load_functions(part)) for part in alone] == [
        ["feature_sets/clock/features.py:build"],
        ["feature_sets/demand/features.py:build"],
        ["features.py:build"],
    ]
