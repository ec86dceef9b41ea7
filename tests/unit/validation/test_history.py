from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.validation.history import Limit, NotEnough, limits, replaced, whole, with_limits
from evergreen.validation.profile import ColumnProfile, Profile


def profile(rows, **columns):
    return Profile(rows, columns)


def limit(text="28 partitions", of="row_count", column=None, **more):
    return Limit.read({"last": text, "of": of, **more}, column)


class TestValue:
    @given(st.lists(st.integers(0, 10**6), min_size=1, max_size=40), st.integers(1, 30))
    def test_it_is_the_median_of_the_last_ones(self, counts, last):
        found = limit(last, times=0.5, plus=-3, at_least=1).value([profile(count) for count in counts])
        assert found == statistics.median(counts[-last:]) * 0.5 - 3

    @pytest.mark.parametrize(
        ("of", "value"),
        [
            ("mean", 2.0),
            ("std", 0.5),
            ("min", 1.0),
            ("max", 9.0),
            ("null_share", 0.25),
            ("quantile 0.9", 8.0),
            ("quantile 0.90", 8.0),
        ],
    )
    def test_each_figure_is_read_from_its_column(self, of, value):
        column = ColumnProfile(5, 2.0, 0.5, 1, 9, {"0.9": 8.0})
        history = [profile(20, x=column, y=ColumnProfile(0, 7.0))]
        assert limit("1 partition", of, "x").value(history) == value
        assert Limit.read({"last": 1, "of": "mean", "column": "y"}, "x").value(history) == 7.0

    def test_partitions_without_the_figure_are_passed_over(self):
        history = [profile(3, x=ColumnProfile(0, mean)) for mean in (1.0, None, 3.0)]
        history += [profile(3), profile(3, x=ColumnProfile(0, min="2011-01-01"))]
        assert limit("5 partitions", "mean", "x", at_least=2).value(history) == 2.0
        assert limit("5 partitions", "mean", "x").value(history) == NotEnough(2, 5)
        assert limit("1 partition", "max", "x").value(history) == NotEnough(0, 1)
        assert limit("1 partition", "null_share", "x").value([profile(0, x=ColumnProfile(0))]) == NotEnough(
            0, 1
        )

    def test_only_the_last_ones_count_as_history(self):
        assert limit("8 partitions").value([profile(1)] * 6) == NotEnough(6, 7)
        assert limit("3 partitions").value([profile(1)] * 2) == NotEnough(2, 3)
        assert limit("3 partitions", at_least="1 partition").value([profile(4)]) == 4
        assert str(NotEnough(3, 7)) == "not enough history: 3 of 7"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({}, "last: this key is required; of: this key is required"),
        ({"last": 28, "of": "rowcount"}, "of: write one of row_count, mean, std, min, max, null_share, or"),
        ({"last": 28, "of": "quantile 0.42"}, "of: write one of .*'quantile q' with q of 0.01, 0.05"),
        ({"last": "28 days", "of": "row_count"}, "last: write a number of partitions like '5 partitions'"),
        ({"last": 0, "of": "row_count"}, "last: must be 1 partition or more"),
        ({"last": 3, "of": "row_count", "at_least": 4}, "'at_least' must not be above 'last'"),
        ({"last": 3, "of": "mean"}, "'of: mean' needs a 'column' here"),
        ({"last": 3, "of": "row_count", "times": "half"}, "times: must be a number"),
        ({"last": 3, "of": "row_count", "time": 2}, "time: no such key, did you mean 'times'"),
        ({"$PARAMETER": "x"}, r"\$PARAMETER: no such key"),
    ],
)
def test_a_wrong_limit_is_told_with_what_is_allowed(content, problem):
    with pytest.raises(ValueError, match=problem) as told:
        with_limits({"min_value": content})
    assert str(told.value).startswith("min_value: ")
    assert "limit by history like {last: 28 partitions" in str(told.value)
    assert "\n" not in str(told.value)


def test_limits_are_found_in_lists_and_replaced_there():
    one, two = {"last": 3, "of": "min"}, {"last": 4, "of": "max"}
    arguments = {
        "column": "x",
        "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[one, two], [1, None]]},
    }
    parsed = with_limits(arguments)
    assert [found.last for found in limits(parsed)] == [3, 4]
    assert replaced(parsed, lambda found: found.last) == {
        "column": "x",
        "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[3, 4], [1, None]]},
    }
    assert arguments["quantile_ranges"]["value_ranges"][0] == [one, two]


def test_mappings_of_great_expectations_own_are_left_alone():
    arguments = {"column": "x", "json_schema": {"properties": {"last": {"type": "string"}, "of": {}}}}
    assert with_limits(arguments) == arguments
    assert limits(with_limits(arguments)) == []


@given(st.floats(-100, 100), st.booleans(), st.integers(-101, 101))
def test_a_whole_bound_lets_the_same_counts_through(value, strict, count):
    least, most = (whole({f"strict_{m}": strict}, f"{m}_value", value) for m in ("min", "max"))
    if strict:
        assert ((count > value), (count < value)) == ((count > least), (count < most))
    else:
        assert ((count >= value), (count <= value)) == ((count >= least), (count <= most))
