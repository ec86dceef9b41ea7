from __future__ import annotations

import json
import math

import numpy as np
import pytest

from evergreen.json_values import finite_or_none, json_values, number_or_nan


def test_numbers_that_are_not_finite_become_null():
    content = {"a": np.nan, "b": [1.5, -np.inf, (np.float64("inf"),)], 3: {"c": np.float32(0.5)}}
    values = json_values(content)
    assert values == {"a": None, "b": [1.5, None, [None]], "3": {"c": 0.5}}
    assert json.loads(json.dumps(values, allow_nan=False)) == values


def test_what_is_json_already_stays_as_it_is():
    content = {"a": [1, True, None, "x", 0.25]}
    assert json_values(content) == content


@pytest.mark.parametrize("value", [0.0, -2.5, 1e300])
def test_a_number_is_read_as_it_was_written(value):
    assert number_or_nan(finite_or_none(value)) == value


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_null_is_read_as_nan(value):
    assert finite_or_none(value) is None
    assert math.isnan(number_or_nan(finite_or_none(value)))
