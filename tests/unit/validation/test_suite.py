from __future__ import annotations

from pathlib import Path

import pytest

from evergreen.errors import SpecError
from evergreen.spec import load_spec, pipeline_names
from evergreen.validation.suite import load_suite

ROOT = Path(__file__).resolve().parents[3]


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
    assert [e.meta["number"] for e in suite.expectations.expectations] == [0, 1, 2, 3]


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
        ("- expect_column_to_exist", "entry 0: write it like"),
        ("- severity: info", "entry 0: has 0 expectations"),
        ("- {expect_column_to_exist: {column: x}, expect_b: {}}", "entry 0: has 2 expectations"),
        ("- expect_column_to_exist: [x]", "entry 0: expect_column_to_exist: its arguments must be a mapping"),
        (
            "- {expect_column_to_exist: {column: x}, severity: fatal}",
            "entry 0: severity 'fatal': write one of critical, warning, info",
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


@pytest.mark.parametrize("name", pipeline_names())
def test_the_repositorys_suites_are_right(name, monkeypatch):
    monkeypatch.delenv("EVERGREEN_PIPELINES", raising=False)
    assert len(load_suite(load_spec(name)).entries) > 5
