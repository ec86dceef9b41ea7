"""Arguments of expectations in the types of their columns: a table of each expectation by each type."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
import yaml

from evergreen.errors import RefusedError, SpecError
from evergreen.rows.batches import Rows
from evergreen.rows.columns import TIME
from evergreen.validation.arguments import HELD, check_types
from evergreen.validation.group import Group
from evergreen.validation.judge import Judges
from evergreen.validation.profile import ColumnProfile, Profile
from evergreen.validation.suite import build, expectations, load_suite
from evergreen.validation.validate import Validated

DAY = "2011-01-01"
NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
DAYS = [date(2024, 1, number) for number in (1, 2, 3)]
TIMES = [NOON + timedelta(days=number) for number in range(3)]

# A column of three values v1 < v2 < v3, and each of them as people write it in YAML.
COLUMNS = {
    "date": (pa.array(DAYS, pa.date32()), [["2024-01-01", "'2024-01-01'", "'2024-01-01T00:00:00Z'"],
             ["2024-01-02", "'2024-01-02'", "2024-01-02T00:00:00Z"], ["2024-01-03", "'2024-01-03'"]]),
    "time": (pa.array(TIMES, TIME), [
        ["2024-01-01T12:00:00Z", "'2024-01-01T12:00:00Z'", "2024-01-01 12:00:00", "'2024-01-01 12:00'",
         "'2024-01-01T14:00:00+02:00'"],
        ["2024-01-02T12:00:00Z", "'2024-01-02T12:00:00'"], ["2024-01-03T12:00:00Z", "2024-01-03T12:00:00"]]),
    "int": (pa.array([1, 2, 3], pa.int64()), [["1", "'1'", "1.0"], ["2", "'2'"], ["3", "'3'"]]),
    "int32": (pa.array([1, 2, 3], pa.int32()), [["1", "'1'"], ["2"], ["3"]]),
    "float": (pa.array([0.1, 0.5, 2.0], pa.float64()), [["0.1", "'0.1'"], ["0.5"], ["2", "'2.0'"]]),
    "decimal": (pa.array([Decimal("0.10"), Decimal("0.20"), Decimal("1.50")], pa.decimal128(12, 2)),
                [["0.1", "'0.10'", "0.10"], ["0.2", "'0.2'"], ["1.5", "'1.50'"]]),
    "text": (pa.array(["2024-01-01", "b", "c"]), [["2024-01-01", "'2024-01-01'"], ["b", "'b'"], ["c"]]),
}  # fmt: skip
NUMBERS = ("int", "int32", "float", "decimal")


def rows(column, **more):
    start = datetime(2011, 1, 1, tzinfo=UTC)
    at = pa.array([start + timedelta(minutes=n) for n in range(len(column))], TIME)
    return pa.table({"at": at, "x": column, **more})


@pytest.fixture
def outcome(spec):
    """The outcome of one expectation: `(quarantined rows, whether it holds)`, or the refusal."""

    def judged(name, arguments, table, severity="warning", history=(), **changes):
        changes = {"validation": {"max_quarantined": "100%"}, **changes}
        text = f"- {name}: {arguments}\n  severity: {severity}\n"
        described = spec(text, **changes)
        group = Group(described, Judges(described, load_suite(described)))
        group.add(DAY, Rows.of(table))
        ((_, found),) = group.finish(lambda partition: history)
        if not isinstance(found, Validated):
            assert isinstance(found, RefusedError)
            assert "\n" not in str(found)
            return str(found)
        json.dumps(found.report.to_dict())
        bad = [json.loads(row)["at"][14:16] for row in found.quarantined.column("row").to_pylist()]
        return sorted(map(int, bad)), found.report.results[-1].success

    return judged


@pytest.mark.parametrize("kind", COLUMNS)
def test_sets_and_bounds_are_held_against_values_of_the_columns_type(outcome, kind):
    column, written = COLUMNS[kind]
    table = rows(column)
    (first, *_), (second, *_), (last, *_) = written
    for one in written[0]:
        for name, among, expected in (
            ("expect_column_values_to_be_in_set", [one], ([1, 2], False)),
            ("expect_column_values_to_not_be_in_set", [one], ([0], False)),
            ("expect_column_distinct_values_to_be_in_set", [one, second, last], ([], True)),
            ("expect_column_distinct_values_to_be_in_set", [one, second], ([], False)),
            ("expect_column_distinct_values_to_contain_set", [one], ([], True)),
            ("expect_column_distinct_values_to_equal_set", [one, second, last], ([], True)),
            ("expect_column_distinct_values_to_equal_set", [one, second], ([], False)),
        ):
            said = f"{{column: x, value_set: [{', '.join(among)}]}}"
            assert outcome(name, said, table) == expected, (name, said)
        said = f"{{column: x, value_set: [{one}]}}"
        thrice = rows(pa.concat_arrays([column, column.slice(0, 1)]))
        assert outcome("expect_column_most_common_value_to_be_in_set", said, thrice) == ([], True), one
        said = f"{{column: x, value_set: [{second}]}}"
        assert outcome("expect_column_most_common_value_to_be_in_set", said, thrice) == ([], False), one
        said = f"{{column_A: x, column_B: x, value_pairs_set: [[{one}, {first}]]}}"
        assert outcome("expect_column_pair_values_to_be_in_set", said, table) == ([1, 2], False), one


@pytest.mark.parametrize("kind", [kind for kind in COLUMNS if kind != "text"])
def test_bounds_are_held_against_values_of_the_columns_type(outcome, kind):
    column, written = COLUMNS[kind]
    table = rows(column)
    for one in written[1]:
        name = "expect_column_values_to_be_between"
        assert outcome(name, f"{{column: x, min_value: {one}}}", table) == ([0], False), one
        assert outcome(name, f"{{column: x, min_value: {one}, strict_min: true}}", table) == ([0, 1], False)
        assert outcome(name, f"{{column: x, max_value: {one}}}", table) == ([2], False), one
        for figure, least, most in (
            ("min", False, True), ("max", True, False), ("median", True, True)
        ):  # fmt: skip
            name = f"expect_column_{figure}_to_be_between"
            assert outcome(name, f"{{column: x, min_value: {one}}}", table) == ([], least), (name, one)
            assert outcome(name, f"{{column: x, max_value: {one}}}", table) == ([], most), (name, one)
    outside = f"{{column: x, min_value: {written[2][0]}}}"
    assert outcome("expect_column_mean_to_be_between", outside, table) == ([], False)
    inside = f"{{column: x, min_value: {written[0][0]}, max_value: {written[2][0]}}}"
    assert outcome("expect_column_mean_to_be_between", inside, table) == ([], True)


@pytest.mark.parametrize("kind", COLUMNS)
def test_figures_of_numbers_are_for_columns_of_numbers(outcome, kind):
    table = rows(COLUMNS[kind][0], y=COLUMNS[kind][0])
    for name, said in (
        ("expect_column_sum_to_be_between", "{column: x, min_value: '0', max_value: 100}"),
        ("expect_column_stdev_to_be_between", "{column: x, min_value: 0, max_value: '100'}"),
        (
            "expect_column_quantile_values_to_be_between",
            "{column: x, quantile_ranges: {quantiles: [0.5], value_ranges: [['0', 100]]}}",
        ),
        ("expect_multicolumn_sum_to_equal", "{column_list: [x, y], sum_total: '1000'}"),
    ):
        found = outcome(name, said, table)
        if kind in NUMBERS:
            assert found == (([0, 1, 2], False) if "multicolumn" in name else ([], True)), name
        else:
            assert "does not fit column 'x' of type" in found, name


WRONG = {
    "date": ["soon", "7", "2024-01-01T12:00:00Z", "true", "'2024-13-01'"],
    "time": ["soon", "7", "'2024-13-01T00:00:00Z'", "true"],
    "int": ["x", "1.5", "'1.5'", "true", "2024-01-01", "9223372036854775808"],
    "float": ["x", "true", "2024-01-01"],
    "decimal": ["x", "0.001", "true", "2024-01-01"],
    "text": ["1", "0.5", "true", "2024-01-01T12:00:00Z"],
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_no_row_can_hold_is_refused_by_check_and_by_validation(spec, outcome, kind):
    table = rows(COLUMNS[kind][0])
    for value in WRONG[kind]:
        for name, held in HELD.items():
            if "value_set" not in held:
                continue
            said = f"{{column: x, value_set: [{value}]}}"
            found = outcome(name, said, table, severity="info")
            assert f"{name}(x): value_set: " in found, (name, value)
            assert "does not fit column 'x' of type" in found
            assert "expectations.yaml: line 1: entry 1: " in found
            described = spec(f"- {name}: {said}")
            with pytest.raises(SpecError, match=r"line 1: entry 1: .* does not fit column 'x'"):
                check_types(described, load_suite(described), table.schema)
    found = outcome("expect_column_values_to_be_between", "{column: x, min_value: true}", table)
    assert "min_value: True does not fit column 'x'" in found


def test_a_type_that_a_source_declares_is_known_without_any_row(spec):
    sources = {"a": {"file": {"path": "a.csv", "time_column": "at", "types": {"x": "date"}}}}
    described = spec("- expect_column_max_to_be_between: {column: x, min_value: 7}", sources=sources)
    with pytest.raises(SpecError, match=r"min_value: 7 does not fit column 'x' of type date32"):
        check_types(described, load_suite(described), None)


def test_a_time_without_an_offset_is_local_time_of_the_pipeline(outcome):
    table = rows(COLUMNS["time"][0])
    for zone, hour in (("UTC", 12), ("Europe/Berlin", 13), ("Asia/Kolkata", 17.5)):
        said = f"2024-01-01 {int(hour):02d}:{int(hour % 1 * 60):02d}"
        arguments = f"{{column: x, value_set: ['{said}']}}"
        changes = {"timezone": zone}
        at = datetime(2011, 1, 1, 6, tzinfo=UTC)
        local = table.set_column(0, "at", pa.array([at + timedelta(minutes=n) for n in range(3)], TIME))
        found = outcome("expect_column_values_to_be_in_set", arguments, local, **changes)
        assert found == ([1, 2], False), zone


def test_a_whole_number_that_a_bound_cannot_be_is_refused(outcome):
    table = rows(pa.array([2**53, 2**53 + 1, 2**53 + 2]))
    said = f"{{column: x, max_value: {2**53 + 1}}}"
    assert "beyond 2**53" in outcome("expect_column_values_to_be_between", said, table)
    said = f"{{column: x, value_set: [{2**53 + 1}]}}"
    assert outcome("expect_column_values_to_be_in_set", said, table) == ([0, 2], False)


def test_values_are_compared_beside_nulls(outcome):
    for kind, (column, written) in COLUMNS.items():
        table = rows(pa.concat_arrays([column, pa.nulls(1, column.type)]))
        said = f"{{column: x, value_set: [{written[0][0]}]}}"
        assert outcome("expect_column_values_to_be_in_set", said, table) == ([1, 2], False), kind
        assert outcome("expect_column_distinct_values_to_contain_set", said, table) == ([], True), kind


def test_truths_may_be_quoted(outcome):
    table = rows(pa.array([True, False, None]))
    for value in ("true", "'true'", "1"):
        said = f"{{column: x, value_set: [{value}]}}"
        assert outcome("expect_column_values_to_be_in_set", said, table) == ([1], False), value


class TestLimits:
    """By hand: days whose largest values are the 10th, the 20th and the 30th of January 2024."""

    def history(self, kind):
        texts = [f"2024-01-{day}" for day in (10, 20, 30)]
        if kind == TIME:
            texts = [f"{text}T00:00:00+00:00" for text in texts]
        return [Profile(1, {"x": ColumnProfile(0, min=text, max=text)}) for text in texts]

    @pytest.mark.parametrize("kind", [pa.date32(), TIME], ids=str)
    def test_a_limit_of_times_is_a_time(self, outcome, kind):
        start = datetime(2024, 1, 1, tzinfo=UTC)
        moments = [start + timedelta(days=day - 1) for day in (19, 20, 21)]
        table = rows(pa.array(moments, TIME).cast(kind))
        limit = "{last: 3 partitions, of: max}"
        history = self.history(kind)
        name = "expect_column_values_to_be_between"
        assert outcome(name, f"{{column: x, min_value: {limit}}}", table, history=history) == ([0], False)
        name = "expect_column_max_to_be_between"
        assert outcome(name, f"{{column: x, max_value: {limit}}}", table, history=history) == ([], False)
        two = "{last: 2 partitions, of: max}"
        assert outcome(name, f"{{column: x, min_value: {two}}}", table, history=history) == ([], True)

    def test_a_limit_that_could_never_apply_is_refused(self, spec, outcome):
        for kind, said, why in (
            ("time", "{last: 2 partitions, of: mean}", "has no such figure: write one of min, max"),
            ("text", "{last: 2 partitions, of: max}", "has no such figure: write one of null_share"),
            ("time", "{last: 2 partitions, of: max, times: 2}", "leave out 'times' and 'plus'"),
            ("time", "{last: 2 partitions, of: row_count}", "is a number, and column 'x' is of type"),
            ("int", "{last: 2 partitions, of: max, column: at}", "is a time, and column 'x' is of type"),
        ):
            table = rows(COLUMNS[kind][0])
            arguments = f"{{column: x, min_value: {said}}}"
            found = outcome("expect_column_values_to_be_between", arguments, table)
            assert why in found, said
            assert "min_value: the limit" in found
            described = spec(f"- expect_column_values_to_be_between: {arguments}")
            with pytest.raises(SpecError, match="min_value: the limit"):
                check_types(described, load_suite(described), table.schema)
        found = outcome(
            "expect_table_row_count_to_be_between",
            "{min_value: {last: 2 partitions, of: max, column: at}}",
            rows(COLUMNS["int"][0]),
        )
        assert "is a time, and a number is needed" in found


# Arguments by these names that are held against no value of a column: counts, shares, lengths, scores.
NOT_HELD = {
    "expect_column_kl_divergence_to_be_less_than": "threshold, min_value, max_value",
    "expect_column_proportion_of_non_null_values_to_be_between": "min_value, max_value",
    "expect_column_proportion_of_unique_values_to_be_between": "min_value, max_value",
    "expect_column_unique_value_count_to_be_between": "min_value, max_value",
    "expect_column_value_lengths_to_be_between": "min_value, max_value",
    "expect_column_value_lengths_to_equal": "value",
    "expect_column_value_z_scores_to_be_less_than": "threshold",
    "expect_table_column_count_to_be_between": "min_value, max_value",
    "expect_table_column_count_to_equal": "value",
    "expect_table_row_count_to_be_between": "min_value, max_value",
    "expect_table_row_count_to_equal": "value",
}
VALUES = (
    "value value_set value_pairs_set min_value max_value sum_total quantile_ranges partition_object threshold"
)


def test_every_argument_that_may_be_held_against_a_column_has_an_entry():
    for name, kind in expectations().items():
        fields = kind.__fields__
        found = {each for each in VALUES.split() if each in fields}
        held = {path.partition(".")[0] for path in HELD.get(name, ())}
        assert found == held | set(NOT_HELD.get(name, "").replace(",", "").split()), name


class TestFound:
    """What a refusal says was found."""

    def told(self, outcome, name, said):
        return outcome(name, said, rows(pa.array(["a", "b", "b"])), severity="critical")

    def test_a_set_names_what_is_there_not_expected_and_missing(self, outcome):
        kind = "expect_column_distinct_values_to_"
        told = self.told(outcome, f"{kind}be_in_set", "{column: x, value_set: [a]}")
        assert "be_in_set(x): found not expected: b: fix" in told
        told = self.told(outcome, f"{kind}equal_set", "{column: x, value_set: [a, c]}")
        assert "equal_set(x): found a, b; not expected: b; missing: c: fix" in told
        told = self.told(outcome, f"{kind}contain_set", "{column: x, value_set: [a, c, d]}")
        assert "contain_set(x): found a, b; missing: c, d: fix" in told

    def test_many_values_are_counted(self, outcome):
        table = rows(pa.array([str(number) for number in range(9)]))
        name = "expect_column_distinct_values_to_be_in_set"
        told = outcome(name, "{column: x, value_set: ['0']}", table, severity="critical")
        assert "(8 in all): fix" in told

    def test_a_column_that_is_not_there_names_those_that_are(self, outcome):
        told = self.told(outcome, "expect_column_to_exist", "{column: z}")
        assert "expect_column_to_exist(z): found the columns at, x: fix" in told


def test_a_written_date_is_what_yaml_makes_of_it():
    assert yaml.safe_load("2024-01-01") == date(2024, 1, 1)


def test_built_arguments_survive_great_expectations(spec):
    """Bounds of every type come out of Great Expectations' own models as they went in."""
    described = spec("- expect_column_max_to_be_between: {column: x, min_value: 2024-01-01T12:00:00Z}")
    entry = load_suite(described).entries[-1]
    assert build(entry).min_value == NOON
