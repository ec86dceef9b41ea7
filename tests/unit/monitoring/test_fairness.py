"""Fairness by night: groups of several nights together, each rate and rule by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from evergreen.errors import SpecError
from evergreen.metrics.measured import measured
from evergreen.monitoring.fairness import fairness_window, night_fairness
from evergreen.signals.record import Record
from evergreen.spec import Gate, Spec, parse_spec
from evergreen.task import Task

KIOSK = parse_spec(Path(__file__).parents[2] / "pipelines" / "kiosk" / "pipeline.yaml")
# A bank's 20 customers: ten of each group, of whom five are good. Four of f and six of m get a loan.
SEX = ["f"] * 10 + ["m"] * 10
GOOD = ([1] * 5 + [0] * 5) * 2
GIVEN = [1, 1, 1, 0, 0, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 1, 1, 0, 0, 0]
BLANK = Record("2024-01-01", "v", 10, 10, "accuracy", 0.5, 0.5, None, None, 0.0, {}, 1, 1)


def ruled(**rule: Any) -> Spec:
    asked = {
        "column": "sex",
        "minimum": 10,
        **({} if "min_ratio" in rule else {"max_difference": 0.1}),
        **rule,
    }
    return KIOSK.model_copy(update={"gate": Gate.model_validate({"fairness": [asked]})})


def nights(spec: Spec, parts: int = 2, classes: tuple[int, ...] = (0, 1)) -> list[Record]:
    """The customers dealt over so many nights, one after the other."""
    found = []
    for part in range(parts):
        rows = measured(Task.CLASSIFICATION, GOOD[part::parts], GIVEN[part::parts])
        frame = pd.DataFrame({"sex": SEX[part::parts]})
        found.append(replace(BLANK, fairness=night_fairness(spec, [frame], rows, classes)))
    return found


@pytest.mark.parametrize(
    ("measure", "of_f", "of_m"),
    [
        ({"rate": "selection_rate"}, 4 / 10, 6 / 10),
        ({"rate": "tpr"}, 3 / 5, 4 / 5),
        ({"rate": "fpr"}, 1 / 5, 2 / 5),
        ({"rate": "precision"}, 3 / 4, 4 / 6),
        ({"rate": "tpr", "positive": 0}, 4 / 5, 3 / 5),  # of the bad ones, those without a loan
        ({"metric": "accuracy"}, 7 / 10, 7 / 10),
        ({"metric": "recall"}, (3 / 5 + 4 / 5) / 2, (4 / 5 + 3 / 5) / 2),  # macro: the difference is gone
    ],
)
@pytest.mark.parametrize("parts", [1, 2, 5])
def test_groups_of_several_nights_are_measured_together(
    measure: dict[str, Any], of_f: float, of_m: float, parts: int
) -> None:
    spec = ruled(**measure)
    (found,) = fairness_window(spec, nights(spec, parts))
    pooled = found["pooled"]
    assert {name: one["rows"] for name, one in pooled["groups"].items()} == {"f": 10, "m": 10}
    assert pooled["groups"]["f"]["value"] == pytest.approx(of_f)
    assert pooled["groups"]["m"]["value"] == pytest.approx(of_m)
    assert pooled["difference"] == pytest.approx(abs(of_f - of_m))
    assert pooled["ratio"] == pytest.approx(min(of_f, of_m) / max(of_f, of_m))
    assert pooled["holds"] is (abs(of_f - of_m) <= 0.1)


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ({"max_difference": 0.21}, True),
        ({"max_difference": 0.19}, False),
        ({"min_ratio": 0.66}, True),  # 0.4 of 0.6
        ({"min_ratio": 0.67}, False),
        ({"max_difference": 0.21, "min_ratio": 0.8}, False),
    ],
)
def test_a_rule_asks_for_a_difference_a_ratio_or_both(rule: dict[str, Any], holds: bool) -> None:
    spec = ruled(rate="selection_rate", **rule)
    assert fairness_window(spec, nights(spec))[0]["pooled"]["holds"] is holds


def test_a_night_with_too_few_rows_of_a_group_is_not_judged_alone() -> None:
    spec = ruled(rate="tpr")
    first, second = nights(spec)
    assert fairness_window(spec, [second])[0]["pooled"]["holds"] is None
    assert fairness_window(spec, [first, second])[0]["pooled"]["holds"] is False


def test_a_night_without_a_row_of_the_positive_class_counts_with_the_others() -> None:
    spec = ruled(rate="tpr", minimum=2)
    rows = measured(Task.CLASSIFICATION, [0, 0], [0, 0])
    frame = pd.DataFrame({"sex": ["f", "m"]})
    empty = replace(BLANK, fairness=night_fairness(spec, [frame], rows, (0, 1)))
    assert {name: one["value"] for name, one in empty.fairness[0]["groups"].items()} == {"f": None, "m": None}
    (found,) = fairness_window(spec, [*nights(spec), empty])
    assert found["pooled"]["groups"]["f"] == {"rows": 11, "value": pytest.approx(3 / 5)}


def test_nights_before_the_rule_was_described_do_not_count() -> None:
    spec, other = ruled(rate="tpr"), ruled(rate="fpr")
    (found,) = fairness_window(spec, [*nights(other), *nights(spec)])
    assert found["pooled"]["groups"]["f"] == {"rows": 10, "value": pytest.approx(3 / 5)}


def test_a_column_that_is_nowhere_is_named() -> None:
    spec = ruled(rate="tpr", column="region")
    with pytest.raises(SpecError, match=r"gate\.fairness\.0\.column: neither the rows nor .* 'region'.*sex"):
        nights(spec)
