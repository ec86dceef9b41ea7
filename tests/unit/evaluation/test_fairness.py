from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix, precision_score, recall_score

from evergreen.errors import SpecError
from evergreen.evaluation.fairness import FairnessResult, GroupResult, measure_fairness
from evergreen.metrics.classes import positive_class
from evergreen.metrics.measured import Measured, measured
from evergreen.metrics.rates import RATES, counts_of
from evergreen.spec import FairnessRule, Gate, Task


def of_rule(values, rows: Measured, **rule) -> FairnessResult:
    asked = {"column": "sex", "max_difference": 0.1, "minimum": 2, **rule}
    gate = Gate.model_validate({"fairness": [asked]})
    spec = SimpleNamespace(gate=gate, folder=Path("sales"), positive_of=lambda rule: rule.positive)
    data = SimpleNamespace(
        rows=pd.DataFrame({"sex": values}), features=pd.DataFrame(), holdout=np.ones(len(values), bool)
    )
    (found,) = measure_fairness(spec, data, rows.taken)
    return found


def labels(actual, predicted) -> Measured:
    return measured(Task.CLASSIFICATION, list(actual), list(predicted))


def test_the_metric_of_each_group_is_that_of_its_own_rows():
    found = of_rule(list("aabbbbbc"), labels("nnnnynyn", "nynnynnn"), metric="accuracy")
    assert [(group.value, group.rows, group.judged) for group in found.groups] == [
        ("a", 2, True),
        ("b", 5, True),
        ("c", 1, False),
    ]
    assert [group.metric for group in found.judged] == pytest.approx([0.5, 0.8])
    assert found.difference == pytest.approx(0.3)
    assert found.ratio == pytest.approx(0.625)


@pytest.mark.parametrize("values", ["aab", "ab"])  # one group of enough rows, none
def test_what_cannot_be_compared_has_no_difference(values):
    found = of_rule(list(values), labels("n" * len(values), "n" * len(values)), metric="accuracy")
    assert math.isnan(found.difference)
    assert math.isnan(found.ratio)
    assert not found.holds(FairnessRule(column="sex", metric="accuracy", max_difference=1, min_ratio=0.1))


def test_a_group_without_a_row_to_take_the_share_of_has_no_rate():
    found = of_rule(list("aabb"), labels("nyyy", "nyyy"), rate="fpr")
    assert math.isnan(found.groups[1].metric)
    assert math.isnan(found.difference)


# A bank's 20 customers: of each group ten, of whom five are good.
SEX = ["f"] * 10 + ["m"] * 10
GOOD = [1, 1, 1, 1, 1, 0, 0, 0, 0, 0] * 2
GIVEN = [1, 1, 1, 0, 0, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 1, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("rate", "of_f", "of_m"),
    [
        ("selection_rate", 4 / 10, 6 / 10),
        ("tpr", 3 / 5, 4 / 5),
        ("fpr", 1 / 5, 2 / 5),
        ("precision", 3 / 4, 4 / 6),
    ],
)
def test_rates_of_the_positive_class_by_hand(rate, of_f, of_m):
    rows = labels(GOOD, GIVEN)
    found = of_rule(SEX, rows, rate=rate)
    assert [group.metric for group in found.groups] == pytest.approx([of_f, of_m])
    assert found.difference == pytest.approx(abs(of_f - of_m))
    assert found.ratio == pytest.approx(min(of_f, of_m) / max(of_f, of_m))
    assert (
        of_rule(SEX, rows, rate=rate, positive=1).groups == found.groups
    )  # the second of two is the default


def test_rates_are_those_of_scikit_learn():
    random = np.random.default_rng(0)
    names = np.array(["no", "perhaps", "yes"])
    actual, predicted = names[random.integers(0, 3, 300)], names[random.integers(0, 3, 300)]
    rows = labels(actual, predicted)
    for positive in names:
        true, said = actual == positive, predicted == positive
        tn, fp, _, _ = confusion_matrix(true, said).ravel()
        expected = {
            "selection_rate": said.mean(),
            "tpr": recall_score(true, said),
            "fpr": fp / (fp + tn),
            "precision": precision_score(true, said),
        }
        for name, rate in RATES.items():
            number = positive_class(rows.names, positive, "here")
            parts = [rows.taken(np.arange(start, start + 60)) for start in range(0, 300, 60)]
            pooled = rate.pooled([rate.part(part, number) for part in parts])
            assert pooled == pytest.approx(expected[name])
            assert rate.of(counts_of(rows, number)) == pytest.approx(expected[name])


def test_a_macro_metric_hides_what_the_rate_of_the_positive_class_shows():
    """Of 100 good customers of each group 90 and 80 are found; of the bad ones the other way round."""
    sex = ["f"] * 200 + ["m"] * 200
    actual = ([1] * 100 + [0] * 100) * 2
    given = [1] * 90 + [0] * 10 + [0] * 80 + [1] * 20 + [1] * 80 + [0] * 20 + [0] * 90 + [1] * 10
    rows = labels(actual, given)
    macro = of_rule(sex, rows, metric="recall", max_difference=0.05)
    assert macro.difference == pytest.approx(0, abs=1e-12)
    rule = FairnessRule(column="sex", rate="tpr", max_difference=0.05)
    found = of_rule(sex, rows, rate="tpr", max_difference=0.05)
    assert found.difference == pytest.approx(0.1)
    assert not found.holds(rule)


@pytest.mark.parametrize(
    ("values", "ratio", "holds"),
    [([0.4, 0.5], 0.8, True), ([0.39, 0.5], 0.78, False), ([0.0, 0.0], 1.0, True), ([0.0, 0.1], 0.0, False)],
)
def test_the_four_fifths_rule(values, ratio, holds):
    rule = FairnessRule(column="sex", rate="selection_rate", min_ratio=0.8)
    groups = tuple(GroupResult(name, 50, True, value) for name, value in zip("fm", values, strict=True))
    found = FairnessResult("sex", rule.measure, groups)
    assert found.ratio == pytest.approx(ratio)
    assert found.holds(rule) is holds


def test_a_positive_class_that_is_none_and_one_that_must_be_named_are_refused():
    three = labels("abc", "abc")
    with pytest.raises(
        SpecError, match=r"sales.*gate\.fairness\.0\.positive: name the positive class, one of a, b"
    ):
        of_rule(list("aab"), three, rate="tpr")
    with pytest.raises(SpecError, match="'z' is not a class of the target: name one of a, b, c"):
        of_rule(list("aab"), three, rate="tpr", positive="z")


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"metric": "tpr", "max_difference": 0.1}, "is a rate of the positive class: write rate: tpr"),
        ({"max_difference": 0.1}, "give 'rate' or 'metric', and not both"),
        ({"rate": "tpr", "metric": "f1", "max_difference": 0.1}, "give 'rate' or 'metric', and not both"),
        ({"rate": "tnr", "max_difference": 0.1}, "is none of selection_rate, tpr, fpr, precision"),
        ({"metric": "f1", "positive": 1, "max_difference": 0.1}, "a metric has no positive class"),
        ({"rate": "tpr"}, "give 'max_difference', 'min_ratio' or both"),
    ],
)
def test_a_rule_that_says_too_little_or_too_much(rule, words):
    with pytest.raises(ValueError, match=words):
        FairnessRule.model_validate({"column": "sex", **rule})


def test_a_result_comes_back_from_json():
    found = FairnessResult("sex", "recall", (GroupResult("a", 3, True, 0.5), GroupResult("b", 2, True, 0.25)))
    written = found.to_dict()
    assert written["difference"] == 0.25
    assert FairnessResult.from_dict(json.loads(json.dumps(written, allow_nan=False))) == found
    unknown = FairnessResult("sex", "recall", (GroupResult("a", 1, False, math.nan),)).to_dict()
    assert unknown["groups"][0]["metric"] is None
    assert math.isnan(FairnessResult.from_dict(unknown).groups[0].metric)
