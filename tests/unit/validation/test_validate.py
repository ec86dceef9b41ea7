from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evergreen.errors import RefusedError
from evergreen.rows.batches import Rejected, Rows
from evergreen.validation import group
from evergreen.validation.judge import Judges
from evergreen.validation.quarantine import QUARANTINE
from evergreen.validation.suite import load_suite
from evergreen.validation.validate import RefusedPartitionError, Validated
from tests.campaign import examples

DAY = "2011-01-01"
BETWEEN = "- expect_column_values_to_be_between: {column: x, min_value: 0, max_value: 10}\n"
WARNING, INFO = "  severity: warning\n", "  severity: info\n"


def rows(*x, **more):
    start = datetime(2011, 1, 1, tzinfo=UTC)
    at = pa.array([start + timedelta(minutes=n) for n in range(len(x))], pa.timestamp("us", tz="UTC"))
    return pa.table({"at": at, "x": pa.array(x, pa.float64()), **more})


def validated(described, table, rejected=()) -> Validated:
    together = group.Group(described, Judges(described, load_suite(described)))
    together.add(DAY, Rows.of(table, rejected))
    ((partition, outcome),) = together.finish(lambda partition: [])
    assert partition == DAY
    if not isinstance(outcome, Validated):
        raise outcome
    return outcome


def valid(found: Validated) -> pa.Table:
    return pa.Table.from_batches(found.file.batches(), found.schema)


@pytest.fixture(params=[2, 262_144], ids=["blocks of 2 rows", "one block"])
def check(spec, request, monkeypatch):
    monkeypatch.setattr(group, "BLOCK", request.param)

    def check(expectations, table, rejected=(), **changes):
        return validated(spec(expectations, **changes), table, rejected)

    return check


def test_good_rows_are_valid_and_reported(check):
    table = rows(1, 2)
    found = check(BETWEEN, table)
    assert valid(found).equals(table)
    assert found.quarantined.num_rows == 0
    assert found.quarantined.schema == QUARANTINE
    assert (found.report.partition, found.report.rows, found.report.quarantined) == (DAY, 2, 0)
    assert found.report.failed == ()
    assert len(found.report.results) == 3


class TestRefused:
    def test_no_rows(self, check):
        with pytest.raises(RefusedError, match=r"^p 2011-01-01: refused: no rows: check that the sources"):
            check(BETWEEN, rows())

    def test_a_critical_expectation_names_rows_and_values(self, check):
        with pytest.raises(RefusedError, match=r"to_be_between\(x\): 2 of 3 rows, such as 11\.0, -1\.0: fix"):
            check(BETWEEN, rows(11, 5, -1))

    def test_a_table_expectation_says_what_it_found(self, check):
        with pytest.raises(RefusedError, match=r"row_count_to_be_between\(\): found 2"):
            check("- expect_table_row_count_to_be_between: {min_value: 3}", rows(1, 2))

    def test_all_critical_problems_are_told_at_once(self, check):
        text = BETWEEN + "- expect_table_row_count_to_be_between: {min_value: 3}"
        with pytest.raises(RefusedError, match=r"to_be_between.*row_count"):
            check(text, rows(1, 20))

    @pytest.mark.parametrize("severity", ["", WARNING, INFO])
    def test_an_expectation_that_cannot_be_computed_whatever_its_severity(self, check, severity):
        text = BETWEEN.replace("column: x", "column: z") + severity
        with pytest.raises(RefusedError, match=r"to_be_between\(z\): cannot be computed: .*\"?z\"?"):
            check(text, rows(1))

    def test_a_key_twice_or_absent(self, check):
        table = rows(1, 2)
        twice = pa.concat_tables([table, table.slice(0, 1)])
        with pytest.raises(RefusedError, match=r"to_be_unique\(at\): 2 of 3 rows"):
            check("[]", twice)
        absent = table.set_column(
            0, "at", pa.array([None, datetime(2011, 1, 1, tzinfo=UTC)], table.schema.field("at").type)
        )
        with pytest.raises(RefusedError, match=r"to_not_be_null\(at\): 1 of 2 rows"):
            check("[]", absent)

    def test_rows_of_another_day(self, check):
        table = rows(1)
        late = table.set_column(
            0, "at", pa.array([datetime(2011, 1, 2, tzinfo=UTC)], table.schema.field("at").type)
        )
        with pytest.raises(
            RefusedError,
            match=r"1 rows lie outside the partition, the first at 2011-01-02T00:00:00\+00:00 in 'at'",
        ):
            check("[]", pa.concat_tables([table, late]))

    def test_more_quarantined_than_allowed(self, check):
        with pytest.raises(RefusedError, match=r"2 of 3 rows \(66\.7%\) would be quarantined, more than"):
            check(BETWEEN + WARNING, rows(11, 12, 1))


class TestQuarantine:
    def test_a_bad_row_goes_there_whole_and_the_others_stay(self, check):
        found = check(BETWEEN + WARNING, rows(1, 900, 3, condition=["clear", "mist", None]))
        assert valid(found).column("x").to_pylist() == [1, 3]
        (bad,) = found.quarantined.to_pylist()
        assert json.loads(bad["row"]) == {
            "at": "2011-01-01T00:01:00+00:00",
            "x": 900.0,
            "condition": "mist",
        }
        assert bad["expectation"] == "expect_column_values_to_be_between(x)"
        assert bad["reason"] == "x is 900.0 (asked: min_value 0, max_value 10)"
        assert (found.report.rows, found.report.quarantined) == (3, 1)

    def test_a_row_that_breaks_two_expectations_is_there_once_with_both(self, check):
        text = BETWEEN + WARNING + "- expect_column_values_to_not_be_null: {column: c}\n" + WARNING
        found = check(text, rows(1, 900, 3, c=["a", None, "b"]))
        (bad,) = found.quarantined.to_pylist()
        assert bad["expectation"] == (
            "expect_column_values_to_be_between(x); expect_column_values_to_not_be_null(c)"
        )
        assert "x is 900.0" in bad["reason"]
        assert "c is nothing" in bad["reason"]

    def test_expectations_on_pairs_name_both_columns(self, check):
        text = (
            "- expect_column_pair_values_a_to_be_greater_than_b: "
            "{column_A: x, column_B: y, or_equal: true, ignore_row_if: either_value_is_missing}\n" + WARNING
        )
        found = check(text, rows(5, 5, 5, 5, y=[4.0, 5.0, 6.0, None]))
        assert valid(found).column("y").to_pylist() == [4, 5, None]
        assert found.quarantined.column("reason").to_pylist()[0].startswith("x is 5.0, y is 6.0")

    def test_within_mostly_nothing_is_quarantined(self, check):
        text = BETWEEN.replace("max_value: 10", "max_value: 10, mostly: 0.6") + WARNING
        assert check(text, rows(1, 2, 900)).quarantined.num_rows == 0
        assert check(text, rows(1, 800, 2, 900)).quarantined.num_rows == 2

    def test_info_and_table_warnings_are_only_reported(self, check):
        text = BETWEEN + INFO + "- expect_column_mean_to_be_between: {column: x, max_value: 10}\n" + WARNING
        found = check(text, rows(1, 900))
        assert found.quarantined.num_rows == 0
        assert found.file.rows == 2
        assert [(r.severity, r.unexpected) for r in found.report.failed] == [("info", 1), ("warning", 0)]
        assert found.report.failed[1].detail == "found 450.5"

    @pytest.mark.parametrize("late", [False, True], ids=["by row", "at the end"])
    def test_aggregates_judge_the_rows_that_will_be_published(self, check, late):
        """99 rows of 10 and one of 1e6 that goes to quarantine: their mean is 10."""
        row = "- expect_column_values_to_be_between: {column: x, min_value: 0, max_value: 100"
        row += ", row_condition: 'x>0', condition_parser: pandas}\n" if late else "}\n"
        text = (
            row
            + WARNING
            + "- expect_column_mean_to_be_between: {column: x, min_value: 5, max_value: 15}\n"
            + "- expect_table_row_count_to_be_between: {max_value: 99}\n"
        )
        found = check(text, rows(*[10.0] * 50, 1e6, *[10.0] * 49), validation={"max_quarantined": "5%"})
        assert valid(found).num_rows == 99
        assert found.quarantined.num_rows == 1
        mean, count = (
            result for result in found.report.results if "mean" in result.name or "count" in result.name
        )
        assert (mean.success, mean.detail, count.success) == (True, "found 10.0", True)
        refused = text.replace("max_value: 15", "max_value: 9")
        with pytest.raises(RefusedError, match=r"found 10\.0"):
            check(refused, rows(*[10.0] * 50, 1e6, *[10.0] * 49), validation={"max_quarantined": "5%"})

    def test_each_call_sees_its_own_rows(self, check):
        assert check(BETWEEN + WARNING, rows(1, 900)).quarantined.num_rows == 1
        assert check(BETWEEN + WARNING, rows(1, 2)).quarantined.num_rows == 0
        assert valid(check(BETWEEN + WARNING, rows(900, 1))).column("x").to_pylist() == [1]

    def test_what_json_has_no_word_for_is_kept_as_text(self, check):
        (bad,) = check(BETWEEN + WARNING, rows(math.inf, 1)).quarantined.to_pylist()
        assert json.loads(bad["row"], parse_constant=pytest.fail)["x"] == "inf"


class TestRejected:
    LINES = (Rejected("2011,x", "a.csv:7", "wrong number of fields"),)

    def test_a_record_that_could_not_be_read_is_in_quarantine_with_its_place(self, check):
        found = check("[]", rows(1, 2), self.LINES)
        assert found.quarantined.to_pylist() == [
            {
                "row": "2011,x",
                "expectation": "readable",
                "reason": "wrong number of fields",
                "place": "a.csv:7",
            }
        ]
        assert (found.report.rows, found.report.quarantined) == (3, 1)

    def test_it_counts_toward_the_share(self, check):
        with pytest.raises(
            RefusedError, match=r"1 of 2 rows .* by readable \(1 record, the first a\.csv:7: w"
        ):
            check("[]", rows(1), self.LINES, validation={"max_quarantined": "40%"})

    def test_nothing_else_is_no_partition(self, check):
        with pytest.raises(RefusedError, match=r"none of 1 records can be read, .* a\.csv:7: wrong number"):
            check("[]", rows(), self.LINES)


class TestWholePartition:
    UNIQUE = "- expect_column_values_to_be_unique: {column: x}\n" + WARNING

    def test_rows_that_repeat_one_another_are_found_across_blocks(self, check):
        found = check(self.UNIQUE, rows(7, 1, 2, 3, 7, 4))
        assert valid(found).column("x").to_pylist() == [1, 2, 3, 4]
        assert [json.loads(row)["x"] for row in found.quarantined.column("row").to_pylist()] == [7, 7]
        assert found.profile.rows == 4

    def test_a_row_that_is_wrong_by_itself_and_by_others_is_there_once(self, check):
        found = check(BETWEEN + WARNING + self.UNIQUE, rows(11, 1, 2, 11))
        assert valid(found).column("x").to_pylist() == [1, 2]
        assert (
            found.quarantined.column("expectation").to_pylist()
            == ["expect_column_values_to_be_between(x); expect_column_values_to_be_unique(x)"] * 2
        )

    def test_a_refusal_carries_the_report(self, check):
        with pytest.raises(RefusedPartitionError) as told:
            check(BETWEEN, rows(1, 20))
        report = told.value.report
        assert [result.success for result in report.results] == [True, True, False]
        assert str(report.refused) in str(told.value)


BOTH = BETWEEN + WARNING + "- expect_column_values_to_be_unique: {column: x}\n" + WARNING


@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.none() | st.integers(-5, 15), min_size=1, max_size=12), st.integers(1, 13))
def test_every_row_comes_out_once_whatever_the_blocks(spec, x, block):
    described = spec(BOTH, validation={"max_quarantined": "100%"})
    table = rows(*x)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(group, "BLOCK", block)
        found = validated(described, table)
    quarantined = [json.loads(row) for row in found.quarantined.column("row").to_pylist()]
    kept = [row["at"].isoformat() for row in valid(found).to_pylist()]
    assert sorted([*kept, *(row["at"] for row in quarantined)]) == [
        at.isoformat() for at in table.column("at").to_pylist()
    ]
    bad = [v for v in x if v is not None and (not 0 <= v <= 10 or x.count(v) > 1)]
    assert [row["x"] for row in quarantined] == bad
