"""What follows from the evidence of a shadow."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from evergreen.evaluation.verdict import Outcome, Verdict
from evergreen.shadow.agreement import Agreement
from evergreen.shadow.judge import Evidence, judge, lacking
from tests.unit.evaluation.evaluations import compared, spec_of

SPEC = spec_of(gate={"shadow": "1000 rows", "limits": {"mae": {"max": 45}}, "champion": {"margin": "10%"}})


def evidence(rows: int = 1000, failed: int = 0, **more: Any) -> Evidence:
    said = "cannot be predicted: too long" if failed else ""
    return Evidence("new", "old", rows, failed, said, Agreement(rows - failed, 0.9, 1.5, 0.8), **more)


def labelled(own: float, other: float, reach: float = 0.0, rows: int = 1000) -> Evidence:
    found = compared(own, other, reach, rows=rows)
    return evidence(labelled=rows, metrics={"mae": own}, comparison=found)


def failed(found: Verdict) -> list[str]:
    names = [check.name for check in found.checks if not check.passed]
    assert (found.outcome is Outcome.WORSE) == bool(names)
    return names


def test_it_waits_until_enough_rows_were_asked() -> None:
    assert lacking(1000, evidence(120)) == "waits for its shadow: 120 of 1,000 rows"
    assert lacking(1000, evidence(999)) != ""
    assert lacking(1000, evidence(1000)) == ""


def test_without_labels_it_must_have_predicted_every_row() -> None:
    found = judge(SPEC, evidence())
    assert failed(found) == []
    assert found.promote
    assert found.sentence == "promoted: all 2 checks passed"
    found = judge(SPEC, evidence(failed=1))
    assert failed(found) == ["shadow rows"]
    assert found.sentence == (
        "worse: the challenger could not predict 1 of 1,000 rows that the champion has: cannot be predicted: "
        "too long"
    )
    assert failed(judge(SPEC, evidence(failed=1000))) == ["shadow rows", "shadow agreement"]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (labelled(30.0, 40.0, 5.0), []),  # a gain
        (labelled(41.0, 40.0, 5.0), []),  # open: the hold-out has decided
        (labelled(44.9, 40.0, 0.5), ["shadow champion"]),  # from 4.4 on, and 4 is allowed
        (labelled(44.0, 40.0, 0.5), []),  # from 3.5 on
        (labelled(46.0, 46.0, 5.0), ["limit mae"]),
        (labelled(46.0, 46.0, 5.0, rows=999), []),  # too few for a limit
        (labelled(90.0, 40.0, 5.0, rows=999), ["shadow champion"]),
        (labelled(90.0, 40.0, math.nan), ["limit mae"]),  # no interval
    ],
)
def test_labels_refuse_what_is_clearly_worse_or_beyond_a_limit(found: Evidence, expected: list[str]) -> None:
    assert failed(judge(SPEC, found)) == expected


def test_an_open_comparison_says_that_the_hold_out_has_decided() -> None:
    found = judge(SPEC, labelled(41.0, 40.0, 5.0))
    said = next(check.detail for check in found.checks if check.name == "shadow champion")
    assert said.startswith("mae 41 against champion old's 40: its loss is 1 (-4 to 6 at 95% confidence)")
    assert said.endswith("; the hold-out has decided")


def test_a_person_is_asked_about_what_passes() -> None:
    assert (judge(SPEC, evidence(), by_person=True).promote, judge(SPEC, evidence()).promote) == (False, True)
    assert judge(SPEC, evidence(), by_person=True).needs_approval
    assert not judge(SPEC, evidence(failed=1), by_person=True).needs_approval


def test_a_comparison_that_cannot_be_computed_decides_nothing() -> None:
    nothing = replace(compared(41.0, 40.0), challenger=math.nan, loss=math.nan)
    assert failed(judge(SPEC, evidence(labelled=5, comparison=nothing))) == []


def test_evidence_is_json() -> None:
    found = labelled(math.nan, 40.0).to_dict()
    assert found["comparison"]["challenger"] is None
    assert found["agreement"] == {"rows": 1000, "equal": 0.9, "difference": 1.5, "correlation": 0.8}
