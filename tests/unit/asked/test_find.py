"""Which rows must be sent together, found from the features of parts of partitions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.asked import find
from evergreen.asked.find import find_asked
from evergreen.asked.finding import Asked, Together
from evergreen.spec import load_spec, parse_spec
from tests.campaign import rounds
from tests.unit.sales import DAILY

BY_STORE = {"target: sold": "target: sold\nkey: [store, item, at]"}


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Twelve days; each has three stores with two items at three hours."""
    random = np.random.default_rng(5)
    days = pd.date_range("2024-01-01", periods=12, freq="D", tz="UTC").as_unit("us")
    cells = [
        (day + pd.Timedelta(hours=hour), store, item)
        for day in days
        for hour in (6, 12, 18)
        for store in ("a", "b", "c")
        for item in (1, 2)
    ]
    frame = pd.DataFrame(cells, columns=["at", "store", "item"])
    frame["price"] = random.uniform(1, 5, len(frame))
    frame["visitors"] = random.integers(0, 9, len(frame)).astype(float)
    frame.loc[frame.index % 5 == 3, "visitors"] = np.nan
    frame["sold"] = random.integers(0, 50, len(frame))
    return frame.assign(partition=frame["at"].dt.strftime("%Y-%m-%d"))


@pytest.fixture
def found(make_spec, rows):
    """What is found for a feature function with this body; the rows are sorted by time and key."""

    def find_it(body: str, seen: pd.DataFrame = rows) -> Asked:
        source = f"""
def build(rows):
    day = rows["partition"]
    def x(values):
        return rows[["price"]].assign(x=values)
    return {body}
"""
        return find_asked(make_spec(changes=BY_STORE, features=source), seen, "2024-01-13")

    return find_it


@pytest.mark.parametrize(
    "body",
    [
        "rows[['price']]",
        "rows[['price', 'store']].assign(hour=rows['at'].dt.hour)",
        "rows[['visitors']].fillna(0)",
    ],
)
def test_single_rows_suffice_where_no_other_row_of_the_partition_is_looked_at(found, body):
    asked = found(body)
    assert (asked.together, asked.differs) == (Together.ROW, None)
    # The newest, every fifth before it, then those in between; each has the three days of its look-back.
    assert asked.partitions[:4] == ("2024-01-12", "2024-01-07", "2024-01-11", "2024-01-06")
    assert asked.partitions[4:] == ("2024-01-10", "2024-01-05", "2024-01-09", "2024-01-04")
    assert asked.builds == 12 + 6 + 7 * 2


@pytest.mark.parametrize(
    ("body", "by"),
    [
        ("x(rows['price'] / rows.groupby([day, 'store'])['price'].transform('max'))", ("store",)),
        ("x(rows.groupby([day, 'item', 'store'])['price'].rank())", ("store", "item")),
        # The row of the day before is three rows back only where all of its shop's and item's are there.
        ("x(rows.groupby(['store', 'item'])['sold'].shift(3))", ("store", "item")),
        ("x(rows.groupby('at')['price'].transform('max'))", ("at",)),
        ("x(rows.groupby([day, 'item'])['price'].transform('size'))", ("item",)),
    ],
)
def test_the_smallest_group_that_suffices_is_found(found, body, by):
    asked = found(body)
    assert (asked.together, asked.by) == (Together.GROUP, by)
    assert asked.differs.sent == "a single row"


@pytest.mark.parametrize(
    "body",
    [
        "x(rows.groupby(day)['price'].rank())",
        # Only of the largest value:
        "x(rows['price'].where(rows['price'] < rows.groupby(day)['price'].transform('max')))",
        # Only where a value is missing:
        "x(rows['visitors'].fillna(rows.groupby(day)['visitors'].transform('median')))",
        # Only by the last rows of the newest days:
        "x(rows['price'].shift(-1))",
        # Only by how many rows there are:
        "x(len(rows))",
        # What is not the same twice needs more than a partition, but no less.
        "x(__import__('random').random())",
    ],
)
def test_whatever_looks_at_other_rows_needs_the_whole_partition(found, body):
    asked = found(body)
    assert asked.together is Together.PARTITION
    assert asked.differs.feature


def test_the_look_back_is_always_there(make_spec, daily_rows):
    # Sales of the day before, whose rows a request does not hold.
    assert find_asked(make_spec(), daily_rows, "2024-02-05").together is Together.ROW


def test_a_difference_is_told_by_feature_place_and_size(found):
    asked = found("rows[['price']].assign(most=rows.groupby(day)['price'].transform('max'))")
    differs = asked.differs
    assert (differs.feature, differs.partition, differs.rows, differs.row) == ("most", "2024-01-12", 18, 1)
    assert asked.sentence == (
        "Online, only a whole partition may be asked for: 'most' of row 1 of 18 differs by "
        f"{abs(differs.apart - differs.whole):.4g} when it is built from a single row of 2024-01-12."
    )


def test_what_happens_on_some_weekdays_or_with_a_rare_value_is_found(make_spec):
    at = pd.date_range("2024-01-01", periods=4 * 80, freq="6h", tz="UTC").as_unit("us")
    random = np.random.default_rng(7)
    rows = pd.DataFrame({"at": at, "price": random.uniform(1, 5, len(at)), "sold": 1})
    rows = rows.assign(holiday=(at.dayofyear == 33).astype(int), partition=at.strftime("%Y-%m-%d"))
    source = """
def build(rows):
    mean = rows.groupby("partition")["price"].transform("mean")
    return rows[["price"]].assign(x=rows["price"].where({condition}, mean))
"""
    for condition in ("rows['at'].dt.dayofweek != 6", "rows['holiday'] == 0"):
        spec = make_spec(features=source.format(condition=condition))
        assert find_asked(spec, rows, "2024-03-20").together is Together.PARTITION


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("rows[['price']] if len(rows) >= 72 else rows[['none']]", "KeyError"),
        ("rows[['price']] if len(rows) >= 72 else rows.iloc[:1][['price']]", "1 rows for"),
        ("rows[['price']] if len(rows) >= 72 else rows[['price', 'visitors']]", "other columns"),
    ],
)
def test_a_function_that_fails_for_one_row_needs_the_whole_partition(found, body, error):
    asked = found(body)
    assert asked.together is Together.PARTITION
    assert error in asked.differs.error
    assert error in asked.sentence


def test_what_a_function_says_of_a_row_is_not_repeated(found):
    asked = found("rows[['price']] if len(rows) >= 72 else {}[rows['store'].iloc[0] + ' Smith']")
    assert "Smith" not in asked.to_json().decode()


def test_warnings_of_few_rows_are_no_failures(found, recwarn):
    asked = found(
        "x(rows['price']) if len(rows) >= 72 else __import__('warnings').warn('few') or x(rows['price'])"
    )
    assert asked.together is Together.ROW
    assert not len(recwarn)


def test_whole_numbers_keep_the_type_that_a_request_has(make_spec, rows):
    # With a missing value pandas has floats; a request of rows without one has integers.
    features = "def build(rows):\n    return rows[['price']].assign(text=rows['visitors'].astype(str))\n"
    spec = make_spec(changes={**BY_STORE, ", look_back: 3 days": ""}, features=features)
    asked = find_asked(spec, rows, "2024-01-13")
    assert asked.together is not Together.ROW
    assert f"{asked.differs.apart}.0" == asked.differs.whole


def test_features_that_are_columns_need_nothing_else(make_spec, people, snapshot):
    asked = find_asked(make_spec(snapshot), people, "snapshot")
    assert (asked.together, asked.builds) == (Together.ROW, 0)


def test_the_features_of_a_snapshot_are_tried_too(make_spec, people, snapshot):
    features = {"task: ": 'features: {function: "features.py:build"}\ntask: '}
    apart = make_spec(snapshot, features, "def build(rows):\n    return rows[['spent']]\n")
    assert find_asked(apart, people, "snapshot").together is Together.ROW
    ranked = make_spec(snapshot, features, "def build(rows):\n    return rows[['spent']].rank()\n")
    assert find_asked(ranked, people, "snapshot").together is Together.PARTITION


def test_bike_demand_looks_at_the_whole_day():
    at = pd.date_range("2011-01-01", periods=24 * 40, freq="h", tz="UTC").as_unit("us")
    random = np.random.default_rng(1)
    numbers = ["cnt", "casual", "registered", "temperature", "feels_like", "humidity", "wind_speed"]
    rows = pd.DataFrame({name: random.integers(0, 99, len(at)) for name in numbers}).assign(
        rented_at=at, holiday=0, condition=random.choice(["clear", "mist", "light_rain"], len(at))
    )
    rows = rows.assign(partition=at.strftime("%Y-%m-%d"))
    assert find_asked(load_spec("bike_demand"), rows, "2011-02-10").together is Together.PARTITION


def test_a_partition_of_one_row_shows_nothing(make_spec, daily_rows):
    asked = find_asked(make_spec(), daily_rows[::6], "2024-02-05")
    assert asked.together is Together.PARTITION
    assert asked.reason == "the newest partition has no rows to try apart"


def test_partitions_too_large_to_be_tried_need_to_be_whole(found, monkeypatch):
    monkeypatch.setattr(find, "_LEAST", 0)
    monkeypatch.setattr(find, "_WINDOWS", 1)
    asked = found("rows[['price']]")
    assert (asked.together, asked.builds) == (Together.PARTITION, 0)
    assert "too many to try parts" in asked.reason


def test_rows_from_the_training_on_are_not_looked_at(make_spec, rows):
    spec = make_spec(changes=BY_STORE)
    before = rows[rows["partition"] < "2024-01-09"]
    assert find_asked(spec, rows, "2024-01-09") == find_asked(spec, before, "2024-01-09")


@settings(max_examples=rounds(3, 200))
@given(
    st.sampled_from(["price", "visitors"]),
    st.sampled_from([(), ("store",), ("store", "item"), ("item",), ("at",), ("store", "at"), None]),
    st.sampled_from(["max", "min", "size", "first", "last"]),
)
def test_whatever_is_grouped_by_is_found(make_spec_once, rows, column, by, how):
    """`by` None is of the row alone, and () of the whole partition."""
    keys = ["day", *(f"rows['{name}']" for name in by or ())]
    value = f"rows.groupby([{', '.join(keys)}])['{column}'].transform('{how}')" if by is not None else "1"
    source = f"def build(rows):\n    day = rows['partition']\n    return rows[['price']].assign(x={value})\n"
    asked = find_asked(make_spec_once(source), rows, "2024-01-13")
    if by is None:
        assert asked.together is Together.ROW
    elif not by:
        assert asked.together is Together.PARTITION
    else:
        assert (asked.together, set(asked.by)) == (Together.GROUP, set(by))


@pytest.fixture(scope="module")
def make_spec_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipelines") / "sales"
    folder.mkdir()
    (folder / "pipeline.yaml").write_text(DAILY.replace("target: sold", BY_STORE["target: sold"]))

    def make(source: str):
        (folder / "features.py").write_text(source)
        return parse_spec(folder / "pipeline.yaml")

    return make
