from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from evergreen.evaluation.compare import Comparison
from evergreen.evaluation.slices import SliceResult, measure_slices
from evergreen.spec import Gate

DATA = SimpleNamespace(
    rows=pd.DataFrame({"season": [1, 1, 1, 2, 2, 3], "open": [True, True, False, True, True, True]}),
    features=pd.DataFrame(),
    holdout=np.array([True, True, True, True, True, False]),
)


def measured(slices, compare=None, rows=None) -> tuple[SliceResult, ...]:
    gate = Gate.model_validate({"slices": slices})
    spec = SimpleNamespace(gate=gate, folder=Path("sales"))
    return measure_slices(spec, DATA, DATA.holdout if rows is None else np.asarray(rows, bool), compare)


def compare(places) -> Comparison:
    """Stands for both models: the values say which rows were asked about."""
    return Comparison(
        "mae", len(places), 2, float(places.min()), float(places.max()), -1.0, -2.0, 0.0, 0.95, 100
    )


def test_each_value_is_compared_on_its_own_rows_if_they_are_enough():
    found = measured([{"column": "season", "minimum": 3}], compare)
    assert found == (
        SliceResult("season", "1", 3, False, compare(np.array([0, 1, 2]))),
        SliceResult("season", "2", 2, False, None),
    )


def test_without_a_champion_rows_are_counted_and_nothing_compared():
    found = measured(["season"], None)
    assert [(result.value, result.rows, result.comparison) for result in found] == [
        ("1", 3, None),
        ("2", 2, None),
    ]


@pytest.mark.parametrize(
    ("required", "expected"),
    [
        (True, {"1": True, "2": True}),
        (False, {"1": False, "2": False}),
        ([2], {"1": False, "2": True}),
        (["2"], {"1": False, "2": True}),
        ([2.0], {"1": False, "2": True}),
        ([3], {"1": False, "2": False, "3": True}),
        ([9], {"1": False, "2": False, "9": True}),
    ],
)
def test_required_are_all_of_the_holdout_or_those_named_there_or_not(required, expected):
    found = measured([{"column": "season", "required": required}])
    assert {result.value: result.required for result in found} == expected
    assert all(result.rows == 0 for result in found if result.value in ("3", "9"))


def test_a_truth_is_required_by_its_name():
    found = measured([{"column": "open", "required": [False]}])
    assert {result.value: result.required for result in found} == {"false": True, "true": False}


def test_a_value_of_the_holdout_that_the_compared_rows_lack_has_none():
    found = measured([{"column": "season", "required": True, "minimum": 2}], compare, [0, 0, 0, 1, 1, 0])
    assert [(result.value, result.rows, result.required) for result in found] == [
        ("1", 0, True),
        ("2", 2, True),
    ]


def test_a_result_comes_back_from_json():
    lost = Comparison("mae", 3, 0, math.inf, 1.0, math.inf, -math.inf, 0.0, 0.95, 100)
    for result in (SliceResult("a", "b", 0, True), SliceResult("a", "b", 3, False, compare(np.arange(3)))):
        assert SliceResult.from_dict(json.loads(json.dumps(result.to_dict(), allow_nan=False))) == result
    back = SliceResult.from_dict(json.loads(json.dumps(SliceResult("a", "b", 3, False, lost).to_dict())))
    assert math.isnan(back.comparison.loss)
