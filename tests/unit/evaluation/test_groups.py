from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.errors import SpecError
from evergreen.evaluation.groups import Groups

SPEC = SimpleNamespace(folder=Path("sales"))


def groups_of(values, held=None, rows=None, column="c", features=None) -> Groups:
    frame = pd.DataFrame({"c": values})
    held = np.ones(len(frame), dtype=bool) if held is None else np.asarray(held, dtype=bool)
    data = SimpleNamespace(
        rows=frame, features=pd.DataFrame() if features is None else features, holdout=held
    )
    rows = held if rows is None else np.asarray(rows, dtype=bool)
    return Groups.of(SPEC, data, rows, "gate.slices.0.column", column)


def as_dict(groups: Groups) -> dict[str, list[int]]:
    return {value: places.tolist() for value, places in groups}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["b", "a", "b"], {"a": [1], "b": [0, 2]}),
        ([10, 9, 10], {"9": [1], "10": [0, 2]}),
        ([2.0, 0.5, 2.0], {"0.5": [1], "2": [0, 2]}),
        ([True, False, True], {"false": [1], "true": [0, 2]}),
        (["b", None, "b"], {"b": [0, 2], "missing": [1]}),
        ([1.0, np.nan, 1.0], {"1": [0, 2], "missing": [1]}),
        (pd.Categorical(["x", "y", "x"], categories=["z", "y", "x"]), {"x": [0, 2], "y": [1]}),
        (pd.array([1, pd.NA, 1], dtype="Int64"), {"1": [0, 2], "missing": [1]}),
        (
            pd.to_datetime(["2024-01-02", "2024-01-01"]),
            {"2024-01-01 00:00:00": [1], "2024-01-02 00:00:00": [0]},
        ),
    ],
)
def test_rows_of_each_value_in_order(values, expected):
    found = as_dict(groups_of(values))
    assert found == expected
    assert list(found) == list(expected)


def test_a_value_of_the_holdout_that_no_row_looked_at_has_is_there_without_rows():
    groups = groups_of(["a", "b", "c", "a"], held=[0, 1, 1, 1], rows=[0, 0, 1, 1])
    # Positions are among the rows looked at; "a" of the first row does not count, it is not held out.
    assert as_dict(groups) == {"a": [1], "b": [], "c": [0]}
    assert as_dict(groups_of(["a", "b"], held=[0, 1])) == {"b": [0]}


def test_a_column_of_the_rows_comes_before_one_of_the_features():
    features = pd.DataFrame({"c": [7, 7], "built": [1, 2]})
    assert as_dict(groups_of(["x", "y"], features=features)) == {"x": [0], "y": [1]}
    assert as_dict(groups_of(["x", "y"], features=features, column="built")) == {"1": [0], "2": [1]}


def test_a_column_that_is_nowhere_is_named_with_its_place_in_the_description():
    with pytest.raises(SpecError, match=r"pipeline.yaml: gate.slices.0.column: .* 'gone': name one of c$"):
        groups_of(["x"], column="gone")


@given(st.lists(st.one_of(st.none(), st.text(max_size=3), st.integers(0, 5), st.booleans()), min_size=1))
def test_every_row_is_in_the_group_of_its_value_and_in_no_other(values):
    found = as_dict(groups_of(pd.Series(values, dtype=object)))
    assert sorted(place for places in found.values() for place in places) == list(range(len(values)))
