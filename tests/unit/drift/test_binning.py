"""Bins of numbers and categories, and counting whatever a column may turn out to hold."""

from __future__ import annotations

import json
import warnings
from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.drift.binning import BINS, LONGEST, RARE, VALUES, Binning, binning, count_frame

D = Decimal
COLUMNS = {
    "float": pd.Series(np.linspace(-3, 3, 301)),
    "float32": pd.Series(np.linspace(-3, 3, 301), dtype="float32"),
    "all nan": pd.Series([np.nan] * 3),
    "empty": pd.Series([], dtype=float),
    "empty object": pd.Series([], dtype=object),
    "constant": pd.Series([0.1] * 9),
    "extreme": pd.Series([1e308, -np.finfo(float).max, 1e308, np.inf, -np.inf]),
    "Int64": pd.Series([1, None, 3], dtype="Int64"),
    "Float64": pd.Series([1.5, None, 3], dtype="Float64"),
    "uint64": pd.Series([2**64 - 1, 0], dtype="uint64"),
    "whole numbers beyond 64 bits": pd.Series([2**70, 1, None], dtype=object),
    "boolean": pd.Series([True, None, False], dtype="boolean"),
    "bool": pd.Series([True, False]),
    "bool object": pd.Series([True, None, False], dtype=object),
    "datetime": pd.Series(pd.to_datetime(["2024-01-01", None, "2024-01-03"])),
    "datetime with zone": pd.Series(pd.to_datetime(["2024-01-01", None]).tz_localize("Europe/Berlin")),
    "datetime objects": pd.Series([datetime(2024, 1, 1), None], dtype=object),  # noqa: DTZ001
    "date objects": pd.Series([date(2024, 1, 1), None], dtype=object),
    "timedelta": pd.Series(pd.to_timedelta([1, None, 5], unit="D")),
    "period": pd.Series(pd.period_range("2024-01", periods=3, freq="M")),
    "interval": pd.Series(pd.interval_range(0, 3)),
    "string": pd.Series(["1", "x", None, "2"]),
    "string object": pd.Series(["1", "x", None], dtype=object),
    "lone surrogate": pd.Series(["\ud800", None], dtype=object),
    "categorical": pd.Series(["a", "b", None, "a"], dtype="category"),
    "categorical numbers": pd.Series([1, 2, None, 1], dtype="category"),
    "mixed": pd.Series([1, "1", 1.0, True, None, [1, 2], {"a": 1}, D("1")], dtype=object),
    "decimal": pd.Series([D("1.5"), None, D("2")], dtype=object),
    "bytes": pd.Series([b"a", None, b"\xff"], dtype=object),
    "complex": pd.Series([1 + 2j, 2]),
    "sparse": pd.Series(pd.arrays.SparseArray([0.0, 0.0, 1.0, np.nan])),
    "none": pd.Series([None, None], dtype=object),
    "arrow int": pd.Series([1, None], dtype=pd.ArrowDtype(pa.int64())),
    "arrow decimal": pd.Series([D("1.5"), None], dtype=pd.ArrowDtype(pa.decimal128(5, 2))),
    "arrow string": pd.Series(["a", None], dtype=pd.ArrowDtype(pa.string())),
    "arrow bool": pd.Series([True, None], dtype=pd.ArrowDtype(pa.bool_())),
    "arrow date": pd.Series([date(2024, 1, 1), None], dtype=pd.ArrowDtype(pa.date32())),
    "arrow duration": pd.Series([timedelta(1), None], dtype=pd.ArrowDtype(pa.duration("us"))),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_any_column_is_binned_counted_and_kept_as_json(kind: str) -> None:
    column = COLUMNS[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = binning(column)
        counts = made.count(column)
    assert Binning.from_dict(json.loads(json.dumps(made.to_dict(), allow_nan=False))) == made
    assert len(counts) == len(made)
    assert counts[-2] == column.isna().sum()
    assert counts[-1] == (2 if kind == "extreme" else 0)  # two infinities are no numbers
    assert counts.sum() == len(column)


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_column_may_turn_into_any_other(kind: str) -> None:
    made = binning(COLUMNS[kind])
    for found in COLUMNS.values():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            counts = made.count(found)
        assert (len(counts), counts.sum(), counts[-2]) == (len(made), len(found), found.isna().sum())
        assert (counts >= 0).all()


def test_numbers_are_in_bins_of_about_equally_many_rows() -> None:
    values = pd.Series(np.random.default_rng(0).normal(size=48_000))
    made = binning(values)
    assert (made.kind, len(made.edges), len(made)) == ("number", BINS - 1, BINS + 2)
    # Below and above the training nothing, in each of the others a 48th part.
    assert made.count(values).tolist() == [0, *[1000] * 48, 0, 0, 0]
    assert made.scale == pytest.approx(values.std(ddof=0))
    assert made.edges[-1] == values.max()
    assert set(made.edges[1:]) <= set(values)


def test_few_different_numbers_have_a_bin_each() -> None:
    made = binning(pd.Series([2, 0, 0, 0, 1, 0, 1]))
    assert made.edges == (np.nextafter(0, -1), 0, 1, 2)
    assert made.centres[1:-1] == (0, 1, 2)
    assert made.count(pd.Series([0, 1, 1, 2, 3, -1])).tolist() == [1, 1, 2, 1, 1, 0, 0]


def test_a_constant_is_told_from_what_lies_beside_it() -> None:
    made = binning(pd.Series([5.0] * 20))
    assert made.scale is None
    assert made.count(pd.Series([5.0, 4.999, 5.001, 5.0])).tolist() == [0, 2, 0, 0, 2]


def test_centres_are_the_means_of_the_training_values() -> None:
    values = pd.Series(np.random.default_rng(1).exponential(size=5000))
    made = binning(values)
    places = np.searchsorted(made.edges, values)
    assert made.centres[1:-1] == pytest.approx(values.groupby(places).mean().tolist(), rel=1e-12)
    assert (made.centres[0], made.centres[-1]) == (made.edges[0], made.edges[-1])


def test_missing_and_infinite_numbers_are_counted_apart() -> None:
    values = pd.Series([1.0, 2.0, np.nan, np.inf, -np.inf])
    made = binning(values)
    assert made.edges[1:] == (1, 2)
    assert made.count(values).tolist() == [0, 1, 1, 0, 1, 2]


def test_a_number_that_comes_as_text_is_read_and_the_rest_never_seen() -> None:
    made = binning(pd.Series([1.0, 2.0, 3.0]))
    for dtype in ("str", "object", "category"):
        found = made.count(pd.Series(["2.0", " 3 ", "many", "nan", None], dtype=dtype))
        assert found.tolist() == [0, 0, 1, 1, 0, 1, 2]


def test_all_rows_missing_at_training() -> None:
    made = binning(pd.Series([np.nan, np.nan]))
    assert made.count(pd.Series([1.0, np.nan])).tolist() == [1, 1, 0]


def test_categories_and_one_never_seen() -> None:
    made = binning(pd.Series(["mist", "clear", "clear", None]))
    assert (made.kind, made.values, len(made)) == ("category", ("clear", "mist"), 4)
    assert made.count(pd.Series(["clear", "snow", "snow", None])).tolist() == [1, 0, 1, 2]


def test_a_category_that_is_declared_and_does_not_occur_was_never_seen() -> None:
    made = binning(pd.Series(pd.Categorical(["a"], categories=["a", "b"])))
    assert made.values == ("a",)
    assert made.count(pd.Series(pd.Categorical(["b"], categories=["a", "b"]))).tolist() == [0, 0, 1]


def test_truth_values_are_categories_even_where_a_gap_makes_them_numbers() -> None:
    made = binning(pd.Series([True, False, True]))
    assert made.values == ("False", "True")
    for column in (
        pd.Series([True, True, False, None], dtype=object),
        pd.Series([True, True, False, None], dtype="boolean"),
        pd.Series([1.0, 1.0, 0.0, np.nan]),
    ):
        assert made.count(column).tolist() == [1, 2, 1, 0]
    assert made.count(pd.Series([2.0])).tolist() == [0, 0, 0, 1]
    assert binning(pd.Series([0, 1, 1])).count(pd.Series([True, False])).tolist() == [0, 1, 1, 0, 0, 0]


def test_a_whole_number_is_one_category_whatever_its_type() -> None:
    made = binning(pd.Series([1, 2, 2], dtype="category"))
    assert made.values == ("1", "2")
    for column in (
        pd.Series([1.0, 2.0, np.nan]),
        pd.Series(["1", "2", None]),
        pd.Series([1, 2, None], dtype="Int64"),
    ):
        assert made.count(column).tolist() == [1, 1, 1, 0]


def test_a_rare_value_is_not_taken_for_a_new_one() -> None:
    often = [f"v{n:03d}" for n in range(VALUES)] * 3
    rare = [f"w{n:03d}" for n in range(500)]
    made = binning(pd.Series(often + rare))
    assert made.values == tuple(sorted(set(often)))
    assert made.new == 500 / 800  # every rare value was there once
    counts = made.count(pd.Series(["v001", "w007", "w499", "new", None]))
    assert counts.tolist() == [0, 1, *[0] * (VALUES - 2), 2, 1, 1]
    assert len(json.dumps(made.to_dict())) < 5000


def test_an_identifier_has_no_new_values() -> None:
    made = binning(pd.Series([f"id{n}" for n in range(VALUES + RARE + 1)]))
    assert made.open
    assert made.new == 0
    assert made.count(pd.Series(["id5", "another"]))[-1] == 0
    assert len(json.dumps(made.to_dict())) < 5000


def test_what_is_remembered_stays_small() -> None:
    made = binning(pd.Series([f"{n} " + "long text " * 1000 for n in range(VALUES + RARE)]))
    assert not made.open
    assert all(len(value) < LONGEST + 20 for value in made.values)
    assert len(json.dumps(made.to_dict())) < 50_000
    counts = made.count(pd.Series(["7 " + "long text " * 1000, "7 " + "long text " * 999]))
    assert (counts[:-2].sum(), counts[-1]) == (1, 1)


def test_the_share_of_new_values_to_be_expected() -> None:
    # Zipf's law: a night of the same kind holds values that the training had not.
    draw = np.random.default_rng(2)
    drawn = pd.Series(draw.zipf(1.8, size=20_000)).astype(str)
    made = binning(drawn[:10_000])
    found = made.count(drawn[10_000:])[-1] / 10_000
    assert found > 0.005
    assert made.new == pytest.approx(found, rel=0.2)


def test_the_order_of_equally_frequent_values_does_not_matter() -> None:
    values = [f"v{n}" for n in range(2 * VALUES)]
    assert binning(pd.Series(values)) == binning(pd.Series(values[::-1]))


numbers = st.one_of(st.none(), st.floats(), st.integers(-3, 3).map(float))
words = st.one_of(st.none(), st.text(max_size=3), st.integers(), st.booleans())
columns = st.one_of(
    st.tuples(st.just(float), st.lists(numbers, max_size=80), st.lists(numbers, max_size=80)),
    st.tuples(st.just(object), st.lists(words, max_size=80), st.lists(words, max_size=80)),
)


@given(columns, st.integers(0, 80), st.randoms())
def test_counts_of_batches_add_up_in_any_order(column: tuple, cut: int, random: object) -> None:
    dtype, training, night = column
    made = binning(pd.Series(training, dtype=dtype))
    whole = made.count(pd.Series(night, dtype=dtype))
    parts = [made.count(pd.Series(part, dtype=dtype)) for part in (night[:cut], night[cut:])]
    assert whole.sum() == len(night)
    assert (parts[0] + parts[1]).tolist() == whole.tolist()
    random.shuffle(night)
    random.shuffle(training)
    assert binning(pd.Series(training, dtype=dtype)) == made
    assert made.count(pd.Series(night, dtype=dtype)).tolist() == whole.tolist()
    assert list(made.edges) == sorted(set(made.edges))
    assert len(made.edges) < BINS


def test_a_frame_is_counted_by_the_features_it_has() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    made = {name: binning(frame[name]) for name in frame}
    assert list(count_frame(made, frame[["b"]])) == ["b"]
    assert {name: counts.tolist() for name, counts in count_frame(made, frame).items()} == {
        "a": [0, 1, 1, 0, 0, 0],
        "b": [1, 1, 0, 0],
    }
