from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from evergreen.evaluation.fairness import FairnessResult, GroupResult, measure_fairness
from evergreen.spec import Gate


def measured(values, metric_of, minimum=2) -> FairnessResult:
    rule = {"column": "sex", "metric": "recall", "max_difference": 0.1, "minimum": minimum}
    spec = SimpleNamespace(gate=Gate.model_validate({"fairness": [rule]}), folder=Path("sales"))
    data = SimpleNamespace(
        rows=pd.DataFrame({"sex": values}), features=pd.DataFrame(), holdout=np.ones(len(values), bool)
    )
    (found,) = measure_fairness(spec, data, metric_of)
    return found


def test_the_metric_of_each_group_is_that_of_its_own_rows():
    right = np.array([1, 0, 1, 1, 1, 0, 0, 0])
    found = measured(list("aabbbbbc"), lambda places, name: right[places].mean() if name == "recall" else 0.0)
    assert [(group.value, group.rows, group.judged) for group in found.groups] == [
        ("a", 2, True),
        ("b", 5, True),
        ("c", 1, False),
    ]
    assert [group.metric for group in found.judged] == pytest.approx([0.5, 0.6])
    assert found.difference == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("values", "metrics"),
    [
        ("aab", [0.5, 0.5]),  # one group of enough rows
        ("aabb", [0.5, math.nan]),
        ("ab", [0.5, 0.5]),  # none of enough rows
    ],
)
def test_what_cannot_be_compared_has_no_difference(values, metrics):
    assert math.isnan(measured(list(values), lambda places, name: metrics[places[0] // 2]).difference)


def test_a_result_comes_back_from_json():
    found = FairnessResult("sex", "recall", (GroupResult("a", 3, True, 0.5), GroupResult("b", 2, True, 0.25)))
    written = found.to_dict()
    assert written["difference"] == 0.25
    assert FairnessResult.from_dict(json.loads(json.dumps(written, allow_nan=False))) == found
    unknown = FairnessResult("sex", "recall", (GroupResult("a", 1, False, math.nan),)).to_dict()
    assert unknown["groups"][0]["metric"] is None
    assert math.isnan(FairnessResult.from_dict(unknown).groups[0].metric)
