from __future__ import annotations

import inspect
import itertools
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.demo_data.bike_file import read_bike_file
from deploy.demo_data.simulator import simulate
from evergreen.data_docs.page import render_page
from evergreen.errors import SpecError
from evergreen.spec import load_spec
from evergreen.validation.history import NotEnough
from evergreen.validation.profile import ColumnProfile, Profile, Profiler
from evergreen.validation.report import ValidationReport
from evergreen.validation.suite import (
    Entry,
    build,
    expectations,
    great_expectations,
    holds,
    load_suite,
    without_suite,
)
from tests.campaign import examples

NIGHT = datetime(2011, 1, 2, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[3]
PIPELINES = ROOT / "include" / "pipelines"
HOUR_CSV = ROOT.parent / "shared" / "data" / "bike_sharing" / "hour.csv"


def test_entries_keep_their_order_arguments_and_severity(spec):
    suite = load_suite(
        spec(
            "- expect_column_values_to_be_between: {column: x, min_value: 0}\n  severity: warning\n"
            "- expect_table_row_count_to_be_between: {max_value: 9}\n"
        )
    )
    assert [(entry.label, entry.severity) for entry in suite.entries] == [
        ("expect_column_values_to_not_be_null(at)", "critical"),
        ("expect_column_values_to_be_unique(at)", "critical"),
        ("expect_column_values_to_be_between(x)", "warning"),
        ("expect_table_row_count_to_be_between()", "critical"),
    ]
    assert [build(entry).meta["number"] for entry in suite.entries] == [0, 1, 2, 3]


def test_a_key_of_several_columns_is_unique_as_a_whole(spec):
    suite = load_suite(spec("[]", key=("at", "place")))
    assert [entry.label for entry in suite.entries] == [
        "expect_column_values_to_not_be_null(at)",
        "expect_column_values_to_not_be_null(place)",
        "expect_compound_columns_to_be_unique(at, place)",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: b: c", "not valid YAML"),
        ("{}", "must be a list of expectations"),
        ("", "must be a list of expectations"),
        (
            "- {expect_column_to_exist: {column: x, column: y}}",
            "line 1, column 40: .*'column' is repeated",
        ),
        ("- expect_column_to_exist", "line 1: entry 1: write it like"),
        ("- severity: info", "line 1: entry 1: has 0 expectations"),
        ("- {expect_column_to_exist: {column: x}, expect_b: {}}", "line 1: entry 1: has 2 expectations"),
        (
            "- expect_column_to_exist: [x]",
            "line 1: entry 1: expect_column_to_exist: its arguments must be a mapping",
        ),
        (
            "- {expect_column_to_exist: {column: x}, severity: fatal}",
            "line 1: entry 1: severity 'fatal': write one of critical, warning, info",
        ),
        (
            "- expect_column_values_to_be_betwen: {column: x}",
            "no expectation 'expect_column_values_to_be_betwen'; nearest: expect_column_values_to_be_between",
        ),
        ("- expect_column_values_to_be_between: {min_value: 0}", r"to_be_between\(\): .*column"),
        (
            "- expect_column_values_to_be_between: {column: x, minimum: 0}",
            r"to_be_between\(x\): .*minimum",
        ),
        (
            "- expect_column_values_to_be_in_set: {column: x, value_set: &a [*a]}",
            "entry 1: .*in_set: an anchor in it contains itself",
        ),
        (
            "- expect_column_to_exist: {column: x}\n\n# more\n- expect_column_to_exst: {column: x}",
            "line 4: entry 2: no expectation 'expect_column_to_exst'",
        ),
        (
            "- expect_column_mean_to_be_between: {column: x, min_value: {lst: 3 partitions, of: mean}}",
            r"line 1: entry 1: .*mean_to_be_between\(x\): min_value: .*lst: no such key, did you mean 'last'"
            ".*write a number, or a limit by history like",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_file_entry_and_problem(spec, text, problem):
    with pytest.raises(SpecError, match=problem) as told:
        load_suite(spec(text))
    assert "expectations.yaml" in str(told.value)
    assert "\n" not in str(told.value)


def test_a_missing_file_is_named(spec):
    with pytest.raises(SpecError, match=r"none\.yaml: no such file"):
        load_suite(spec("[]", validation={"suite": "none.yaml"}))


def test_without_a_file_only_the_key_is_expected(spec, tmp_path):
    described = spec("[]")
    assert without_suite(described) is None
    (tmp_path / "expectations.yaml").unlink()
    assert [entry.arguments for entry in load_suite(described).entries] == [{"column": "at"}] * 2
    assert "suggest-expectations p --out" in (without_suite(described) or "")
    assert without_suite(described) in render_page(
        described, ValidationReport("2011-01-01", 3, 0, ()), "r", NIGHT
    )


def test_words_that_yaml_once_took_for_booleans_are_words(spec):
    suite = load_suite(
        spec("- expect_column_values_to_be_in_set: {column: x, value_set: [yes, no, on, true]}")
    )
    assert suite.entries[-1].arguments["value_set"] == ["yes", "no", "on", True]


# Great Expectations' map expectations that look at other rows, or at the type of the whole column.
WHOLE = {
    "expect_column_value_z_scores_to_be_less_than",
    "expect_column_values_to_be_decreasing",
    "expect_column_values_to_be_in_type_list",
    "expect_column_values_to_be_increasing",
    "expect_column_values_to_be_of_type",
    "expect_column_values_to_be_unique",
    "expect_column_values_to_not_be_outliers",
    "expect_compound_columns_to_be_unique",
    "expect_multicolumn_values_to_be_unique",
}


def test_every_map_expectation_is_row_level_or_known_not_to_be():
    from great_expectations.expectations import expectation

    maps = (
        expectation.ColumnMapExpectation,
        expectation.ColumnPairMapExpectation,
        expectation.MulticolumnMapExpectation,
    )
    kinds = expectations()
    assert len(kinds) > 50
    mapped = {name for name, kind in kinds.items() if inspect.isclass(kind) and issubclass(kind, maps)}
    row_level = {name for name in kinds if Entry(name, {}, "critical").row_level}
    assert row_level | WHOLE == mapped
    assert not row_level & WHOLE


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("expect_column_values_to_be_between", {"column": "x", "row_condition": "y > 1"}),
        ("expect_column_pair_values_to_be_equal", {"column_A": "x", "column_B": "y", "mostly": 0.9}),
        ("expect_multicolumn_sum_to_equal", {"column_list": ["x", "y"], "sum_total": 1, "mostly": 0.5}),
        ("expect_column_mean_to_be_between", {"column": "x"}),
    ],
)
def test_what_depends_on_other_rows_is_not_row_level(name, arguments):
    assert not Entry(name, arguments, "critical").row_level


class TestColumns:
    def test_a_condition_or_the_schema_may_need_any_column(self):
        assert Entry("expect_column_to_exist", {"column": "x"}, "critical").columns is None
        assert Entry("expect_table_columns_to_match_set", {"column_set": ["x"]}, "critical").columns is None
        between = Entry("expect_column_values_to_be_between", {"column": "x", "row_condition": "y>1"}, "info")
        assert between.columns is None

    def test_rows_are_counted_without_any_column(self):
        assert Entry("expect_table_row_count_to_equal", {"value": 3}, "critical").columns == ()

    def test_every_expectation_on_columns_names_them(self):
        for name, kind in expectations().items():
            fields = {"column": "x", "column_A": "a", "column_B": "b", "column_list": ["c", "d"]}
            given_ = {key: value for key, value in fields.items() if key in kind.__fields__}
            columns = Entry(name, given_, "critical").columns
            if columns:
                assert set(columns) == {
                    c for v in given_.values() for c in ([v] if isinstance(v, str) else v)
                }
            else:
                assert name.startswith(("expect_table_", "expect_query_")) or name == "expect_column_to_exist"


@cache
def batches():
    context = great_expectations().get_context(mode="ephemeral")
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    asset = context.data_sources.add_pandas("tests").add_dataframe_asset("rows")
    return asset.add_batch_definition_whole_dataframe("all")


def judged(entry, frame):
    """Great Expectations' own word, and which rows break the entry."""
    batch = batches().get_batch(batch_parameters={"dataframe": frame})
    result = batch.validate(build(entry), result_format="COMPLETE")
    assert not result.exception_info.get("raised_exception"), result.exception_info
    return bool(result.success), sorted(result.result.get("unexpected_index_list") or [])


values = st.none() | st.just(float("nan")) | st.integers(-3, 3).map(float)
words = st.none() | st.sampled_from(["a", "bb", "17", '{"a": 1}', "[", "2011-01-01", ""])
frames = st.lists(st.tuples(values, values, words), min_size=1, max_size=12)
ON_NUMBERS = [
    ("expect_column_values_to_be_between", {"column": "x", "min_value": 0}),
    ("expect_column_values_to_be_in_set", {"column": "x", "value_set": [0, 1]}),
    ("expect_column_values_to_not_be_in_set", {"column": "x", "value_set": [0, 1]}),
    ("expect_column_values_to_be_null", {"column": "x"}),
    ("expect_column_values_to_not_be_null", {"column": "x"}),
]
ON_WORDS = [
    ("expect_column_value_lengths_to_be_between", {"column": "s", "min_value": 2}),
    ("expect_column_value_lengths_to_equal", {"column": "s", "value": 2}),
    ("expect_column_values_to_be_in_set", {"column": "s", "value_set": ["a", "17"]}),
    ("expect_column_values_to_not_be_null", {"column": "s"}),
    ("expect_column_values_to_match_regex", {"column": "s", "regex": "^[0-9]"}),
    ("expect_column_values_to_not_match_regex", {"column": "s", "regex": "^[0-9]"}),
    ("expect_column_values_to_match_regex_list", {"column": "s", "regex_list": ["a", "^[0-9]"]}),
    ("expect_column_values_to_not_match_regex_list", {"column": "s", "regex_list": ["a", "^[0-9]"]}),
    ("expect_column_values_to_match_strftime_format", {"column": "s", "strftime_format": "%Y-%m-%d"}),
    ("expect_column_values_to_be_dateutil_parseable", {"column": "s"}),
    ("expect_column_values_to_be_json_parseable", {"column": "s"}),
    ("expect_column_values_to_not_be_in_set", {"column": "s", "value_set": ["bb"]}),
    ("expect_column_values_to_be_null", {"column": "s"}),
]
ON_SEVERAL = [
    ("expect_column_pair_values_a_to_be_greater_than_b", {"column_A": "x", "column_B": "y"}),
    (
        "expect_column_pair_values_a_to_be_greater_than_b",
        {"column_A": "x", "column_B": "y", "or_equal": True, "ignore_row_if": "either_value_is_missing"},
    ),
    ("expect_column_pair_values_to_be_equal", {"column_A": "x", "column_B": "y"}),
    (
        "expect_column_pair_values_to_be_in_set",
        {"column_A": "x", "column_B": "y", "value_pairs_set": [[0, 0], [1, 2]]},
    ),
    ("expect_multicolumn_sum_to_equal", {"column_list": ["x", "y"], "sum_total": 0}),
    (
        "expect_multicolumn_values_to_be_equal",
        {"column_list": ["x", "y"], "ignore_row_if": "any_value_is_missing"},
    ),
    ("expect_select_column_values_to_be_unique_within_record", {"column_list": ["x", "y"]}),
]
mostly = st.sampled_from([None, 0, 0.25, 0.5, 2 / 3, 0.75, 0.9, 1])


def frame_of(rows):
    frame = pd.DataFrame(rows, columns=["x", "y", "s"])
    return frame.astype({"x": float, "y": float, "s": "str"})


@settings(max_examples=examples(120))
@given(st.sampled_from([*ON_NUMBERS, *ON_WORDS]), mostly, frames, st.lists(st.integers(0, 12), max_size=3))
def test_blocks_judged_one_by_one_give_what_the_whole_gives(case, share, rows, cuts):
    name, arguments = case
    entry = Entry(name, arguments if share is None else {**arguments, "mostly": share}, "critical")
    same_in_blocks(entry, frame_of(rows), cuts)


@settings(max_examples=examples(60))
@given(st.sampled_from(ON_SEVERAL), frames, st.lists(st.integers(0, 12), max_size=3))
def test_so_do_blocks_judged_by_several_columns(case, rows, cuts):
    same_in_blocks(Entry(*case, "critical"), frame_of(rows), cuts)


def same_in_blocks(entry, frame, cuts):
    assert entry.row_level
    success, broken = judged(entry, frame)
    edges = sorted({0, len(frame), *(cut for cut in cuts if cut < len(frame))})
    found, nulls = [], 0
    for first, last in itertools.pairwise(edges):
        block = frame.iloc[first:last].reset_index(drop=True)
        found += [first + number for number in judged(entry, block)[1]]
        nulls += int(block[entry.columns[0]].isna().sum())
    assert found == broken
    assert holds(entry, len(frame), nulls, len(found)) == success


class TestLimitsByHistory:
    TEXT = """
- expect_table_row_count_to_be_between: {min_value: {last: 28 partitions, of: row_count, times: 0.5}}
- expect_column_mean_to_be_between:
    {column: x, max_value: {last: 3 partitions, of: mean, plus: 1}, min_value: 0}
  severity: info
- expect_column_quantile_values_to_be_between:
    column: x
    quantile_ranges:
      quantiles: [0.5]
      value_ranges: [[{last: 9 partitions, of: min}, {last: 9 partitions, of: quantile 0.9}]]
"""

    @staticmethod
    def history(*means):
        return [
            Profile(10 + n, {"x": ColumnProfile(0, mean, 1, 0.0, 9.0, {"0.9": 8.0})})
            for n, mean in enumerate(means)
        ]

    def test_the_suite_knows_how_far_back_it_looks(self, spec):
        suite = load_suite(spec(self.TEXT))
        assert suite.history_needed == 28
        assert [entry.needs_history for entry in suite.entries] == [False, False, True, True, True]
        assert load_suite(spec("[]")).history_needed == 0

    def test_a_resolved_entry_has_numbers_and_is_otherwise_the_same(self, spec):
        *_, count, mean, quantiles = load_suite(spec(self.TEXT)).entries
        history = self.history(1, 2, 3, 4, 5, 6, 100)
        found = mean.resolved(history)
        assert found.arguments == {"column": "x", "max_value": 7.0, "min_value": 0}
        assert (found.severity, found.number, found.label) == ("info", 3, mean.label)
        assert not found.needs_history
        assert quantiles.resolved(history).arguments["quantile_ranges"]["value_ranges"] == [[0.0, 8.0]]
        assert count.resolved(history).arguments == {"min_value": 7}  # 6.5 rows at least are 7
        assert mean.arguments["max_value"]["last"] == "3 partitions"

    def test_too_little_history_is_told(self, spec):
        *_, count, mean, _ = load_suite(spec(self.TEXT)).entries
        assert count.resolved(self.history(1, 2, 3)) == NotEnough(3, 7)
        assert str(mean.resolved([])) == "not enough history: 0 of 3"
        assert isinstance(mean.resolved(self.history(1, 2, 3)), Entry)

    def test_a_share_worked_out_stays_a_share(self, spec):
        text = "- expect_column_values_to_not_be_null: {column: x, mostly: {last: 3, of: mean}}"
        entry = load_suite(spec(text)).entries[-1]
        assert entry.resolved(self.history(0.5, 0.25, 0.5)).mostly == 0.5
        assert entry.resolved(self.history(5, 6, 7)).mostly == 1
        assert entry.resolved(self.history(-5, -6, -7)).mostly == 0

    def test_an_entry_without_limits_is_itself(self, spec):
        entry = load_suite(spec("[]")).entries[0]
        assert entry.resolved([]) == entry

    def test_great_expectations_judges_by_the_number(self, spec):
        *_, mean, _ = load_suite(spec(self.TEXT)).entries
        entry = mean.resolved(self.history(1, 2, 3))  # at most 3
        batch = batches().get_batch(batch_parameters={"dataframe": pd.DataFrame({"x": np.array([2.0, 5.0])})})
        assert not batch.validate(build(entry)).success
        batch = batches().get_batch(batch_parameters={"dataframe": pd.DataFrame({"x": np.array([2.0, 4.0])})})
        assert batch.validate(build(entry)).success


class TestTheRepositorysSuites:
    """What is known of the demo's data holds, and what is wrong in it on purpose is caught."""

    @pytest.mark.parametrize(("name", "file"), [("iris", "flowers.csv"), ("wine_segments", "wines.csv")])
    def test_a_snapshot_holds_all_of_its_own(self, name, file):
        frame = pd.read_csv(PIPELINES / name / file)
        suite = load_suite(load_spec(name))
        assert suite.history_needed == 0
        assert len(suite.entries) > 15
        assert [
            (entry.label, found) for entry in suite.entries if (found := judged(entry, frame)) != (True, [])
        ] == []

    def test_few_of_bike_demands_are_asked_day_by_day(self):
        suite = load_suite(load_spec("bike_demand"))
        written = [entry for entry in suite.entries if "key" not in entry.place]
        assert len([entry for entry in written if not entry.row_level]) <= 4
        assert suite.history_needed == 28

    @pytest.mark.skipif(not HOUR_CSV.exists(), reason=f"{HOUR_CSV} is not there")
    def test_the_real_bike_days_hold_all_but_what_is_reported(self):
        suite = load_suite(load_spec("bike_demand"))
        frame = bike_frame(read_bike_file(HOUR_CSV))
        broken = {entry.label: found for entry in suite.entries if (found := rows_breaking(entry, frame))}
        assert {label: len(found) for label, found in broken.items()} == {
            "expect_column_values_to_be_between(humidity)": 22
        }
        days = by_day(frame)
        assert len(days) == 731
        short, refused = against_history(suite, days)
        assert refused == []
        # Blizzards, a lost afternoon, two hurricanes.
        assert short == [
            *("2011-01-18", "2011-01-26", "2011-01-27", "2011-02-22"),
            *("2011-08-27", "2011-08-28", "2012-10-29", "2012-10-30"),
        ]
        for key in ("2011-01-27", "2011-03-10", "2012-10-29", "2012-12-31"):  # 8 rows, 0 % humidity, one row
            for entry in suite.entries:
                if not entry.row_level and not entry.needs_history:
                    assert judged(entry, days[key].reset_index(drop=True))[0]

    def test_of_the_simulated_days_only_the_faulty_sensor_is_caught(self):
        suite = load_suite(load_spec("bike_demand"))
        frame = bike_frame(simulate(date(2011, 1, 1), date(2011, 12, 31)))
        broken = {entry.label: found for entry in suite.entries if (found := rows_breaking(entry, frame))}
        assert set(broken) == {"expect_column_values_to_be_between(wind_speed)"}
        (found,) = broken.values()
        assert set(frame.wind_speed[found]) == {999.0}
        assert against_history(suite, by_day(frame)) == ([], [])  # halved fares included

    def test_rentals_counted_again_and_again_are_refused(self):
        suite = load_suite(load_spec("bike_demand"))
        days = by_day(bike_frame(simulate(date(2011, 1, 1), date(2011, 1, 30))))
        days["2011-01-29"] = days["2011-01-29"].assign(cnt=days["2011-01-29"].cnt * 6)
        days["2011-01-30"] = days["2011-01-30"].head(12)
        assert against_history(suite, days) == (["2011-01-30"], ["2011-01-29"])


def bike_frame(data):
    joined = data.rentals.merge(data.weather, left_on="rented_at", right_on="hour", validate="1:1")
    return joined.drop(columns="hour")


def by_day(frame):
    return {str(day.date()): rows for day, rows in frame.groupby(frame.rented_at.dt.floor("D"))}


def rows_breaking(entry, frame):
    """The rows that break a row-level entry; beyond its `mostly` or not."""
    return judged(entry, frame)[1] if entry.row_level else []


def against_history(suite, days):
    """The days with too few rows, and those with too high a mean, by the limits that the suite works out."""
    short, refused, profiles = [], [], []
    count, mean = [entry for entry in suite.entries if entry.needs_history]
    assert (count.columns, count.severity) == ((), "info")
    assert (mean.name, mean.columns, mean.severity) == (
        "expect_column_mean_to_be_between",
        ("cnt",),
        "critical",
    )
    for key, rows in days.items():
        least, most = count.resolved(profiles), mean.resolved(profiles)
        if isinstance(least, Entry) and len(rows) < least.arguments["min_value"]:
            short.append(key)
        if isinstance(most, Entry) and rows.cnt.mean() > most.arguments["max_value"]:
            refused.append(key)
        batch = pa.RecordBatch.from_pandas(rows[["cnt"]], preserve_index=False)
        profiler = Profiler(batch.schema)
        profiler.add(batch)
        profiles.append(profiler.profile())
    return short, refused


def test_a_day_that_no_month_has_is_told_with_its_file(spec):
    with pytest.raises(SpecError, match=r"expectations\.yaml: not valid YAML .*month must be in 1\.\.12"):
        load_suite(spec("- expect_column_max_to_be_between: {column: d, min_value: 2024-13-01}"))
