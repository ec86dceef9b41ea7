from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge

from evergreen.evaluation.resources import ResourceUse, loaded_memory, measure_resources
from evergreen.registry.model_file import dump_model
from evergreen.spec import Resources


class Counting:
    """A model that remembers how many rows each call brought."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def predict(self, features: pd.DataFrame) -> np.ndarray:
        self.calls.append(len(features))
        return np.zeros(len(features))


@pytest.fixture(scope="module")
def data() -> tuple[pd.DataFrame, np.ndarray]:
    random = np.random.default_rng(0)
    features = pd.DataFrame(random.normal(size=(3_000, 6)))
    return features, features[0].to_numpy() + random.normal(size=3_000)


def test_nothing_is_measured_where_nothing_is_limited(data):
    model = Counting()
    assert measure_resources(Resources(), model, data[0]) is None
    assert model.calls == []


def test_only_what_is_limited_is_measured(data):
    model = Counting()
    found = measure_resources(Resources.model_validate({"latency": {"thousand_rows": 5}}), model, data[0])
    assert set(model.calls) == {1_000}
    assert len(model.calls) >= 20
    assert (found.row, found.size, found.memory) == (None, None, None)
    assert 0 < found.thousand_rows < math.inf


def test_a_batch_of_a_thousand_is_made_of_fewer_rows_too(data):
    model = Counting()
    limits = Resources.model_validate({"latency": {"row": 5, "thousand_rows": 5}})
    measure_resources(limits, model, data[0].head(7))
    assert set(model.calls) == {1, 1_000}
    empty = measure_resources(limits, model, data[0].head(0))
    assert math.isnan(empty.row)
    assert math.isnan(empty.thousand_rows)


def test_the_size_is_that_of_the_file(data):
    model = Ridge().fit(*data)
    found = measure_resources(Resources(size=10_000), model, data[0])
    assert found == ResourceUse(size=float(len(dump_model(model))))


def test_memory_counts_the_trees_that_are_allocated_in_c(data):
    small = Ridge().fit(*data)
    forest = RandomForestRegressor(30, random_state=0).fit(*data)
    states = [tree.tree_.__getstate__() for tree in forest.estimators_]
    held = sum(state["nodes"].nbytes + state["values"].nbytes for state in states)
    found = loaded_memory(dump_model(forest))
    print(f"nodes and values {held / 2**20:.1f} MB, resident {found / 2**20:.1f} MB")
    assert held * 0.9 < found < held * 1.5
    assert loaded_memory(dump_model(small)) < 2**20


def test_a_model_that_cannot_be_loaded_has_no_memory_to_speak_of():
    assert math.isnan(loaded_memory(b"no model"))


@pytest.mark.parametrize(
    "use", [ResourceUse(), ResourceUse(row=1.5), ResourceUse(1.0, 2.0, 3.0, 4.0), ResourceUse(memory=0.0)]
)
def test_what_was_measured_comes_back_from_json(use):
    assert ResourceUse.from_dict(json.loads(json.dumps(use.to_dict(), allow_nan=False))) == use


def test_what_could_not_be_measured_stays_apart_from_what_nobody_asked_for():
    written = ResourceUse(memory=math.nan).to_dict()
    assert written == {"memory": None}
    back = ResourceUse.from_dict(written)
    assert math.isnan(back.memory)
    assert back.size is None
