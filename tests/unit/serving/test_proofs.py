"""What is proven holds for Great Expectations too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from evergreen.serving.proofs import proof
from evergreen.validation.arguments import typed
from evergreen.validation.judge import judge
from evergreen.validation.suite import Entry, build

NUMBERS = [None, -1.0, 0.0, -0.0, 0.5, 1.0, 1e308, 2.0**53, 2.0**53 + 2, -5e-324]
WHOLE = [None, -1, 0, 1, 2, 2**53, 2**53 + 1, -(2**62), 2**62, 3]
TEXTS = [None, "", "a", "A", "a\n", "ab", "é", "a b", "\u0661", "1"]
ROWS = pa.table(
    {
        "x": pa.array(NUMBERS, pa.float64()),
        "y": pa.array([*reversed(NUMBERS)], pa.float64()),
        "n": pa.array(WHOLE, pa.int64()),
        "t": pa.array(TEXTS, pa.string()),
    }
)
BETWEEN, GREATER = "expect_column_values_to_be_between", "expect_column_pair_values_a_to_be_greater_than_b"
IN_SET, MATCHES = "expect_column_values_to_be_in_set", "expect_column_values_to_match_regex"
PROVEN: list[tuple[str, dict[str, Any], int]] = [
    ("expect_column_values_to_not_be_null", {"column": "x"}, 9),
    ("expect_column_values_to_not_be_null", {"column": "t"}, 9),
    (BETWEEN, {"column": "x", "min_value": 0, "max_value": 1}, 5),
    (BETWEEN, {"column": "x", "min_value": -0.5}, 6),
    (BETWEEN, {"column": "n", "min_value": 0, "max_value": 2}, 4),
    (BETWEEN, {"column": "n", "max_value": 2**53 - 1}, 6),
    (IN_SET, {"column": "t", "value_set": ["a", "é"]}, 3),
    (MATCHES, {"column": "t", "regex": "^[a-z]$"}, 2),
    (MATCHES, {"column": "t", "regex": r"\d"}, 2),
    (MATCHES, {"column": "t", "regex": "^(?!b)"}, 7),
    (GREATER, {"column_A": "x", "column_B": "y"}, 1),
    (GREATER, {"column_A": "x", "column_B": "n", "or_equal": True}, 2),
    (GREATER, {"column_A": "x", "column_B": "n", "ignore_row_if": "either_value_is_missing"}, 1),
    (GREATER, {"column_A": "x", "column_B": "y", "ignore_row_if": "neither"}, 1),
]
UNPROVEN: list[tuple[str, dict[str, Any]]] = [
    (BETWEEN, {"column": "x", "min_value": 0, "strict_min": True}),
    (BETWEEN, {"column": "n", "max_value": 2**53}),
    (IN_SET, {"column": "n", "value_set": [1]}),
    ("expect_column_value_lengths_to_be_between", {"column": "t", "max_value": 3}),
]


def test_what_is_proven_holds_and_no_proof_is_lost() -> None:
    written = [
        Entry(name, arguments, "critical", number=at) for at, (name, arguments, _) in enumerate(PROVEN)
    ]
    entries = [typed(one, ROWS.schema) for one in written]
    outcomes = judge({one.number: build(one) for one in entries}, ROWS)
    for one, (_, _, count) in zip(entries, PROVEN, strict=True):
        prove = proof(one, ROWS.schema)
        assert prove is not None, one
        proven = prove(ROWS).to_numpy(zero_copy_only=False)
        assert outcomes[one.number].problem is None
        broken = set(outcomes[one.number].rows.tolist())
        assert broken.isdisjoint(np.flatnonzero(proven).tolist()), one
        assert proven.sum() == count, one


@pytest.mark.parametrize(("name", "arguments"), UNPROVEN)
def test_what_no_proof_is_known_for(name: str, arguments: dict[str, Any]) -> None:
    assert proof(Entry(name, arguments, "critical"), ROWS.schema) is None


def test_a_column_that_is_not_there() -> None:
    assert (
        proof(Entry("expect_column_values_to_not_be_null", {"column": "z"}, "critical"), ROWS.schema) is None
    )
