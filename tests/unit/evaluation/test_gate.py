from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.evaluation.evaluate import Evaluation
from evergreen.evaluation.gate import Verdict, judge
from evergreen.spec import Spec

FINITE = st.floats(0.001, 1e6)
ANY = st.one_of(FINITE, st.sampled_from([math.nan, math.inf, -math.inf]), st.none())


def spec_of(metric: str = "mae", gate: dict | None = None) -> Spec:
    task = "regression" if metric in ("mae", "r2") else "classification"
    return Spec.model_validate(
        {
            "name": "sales",
            "description": "Sales",
            "owner": "team",
            "schedule": "0 2 * * *",
            "start": "2024-01-01",
            "partition": "daily",
            "sources": {"sales": {"file": {"path": "sales.csv", "time_column": "at"}}},
            "task": task,
            "target": "sold",
            "training": {"metric": metric, "candidates": [{"estimator": "sklearn.linear_model.Ridge"}]},
            "gate": gate or {},
            "folder": Path("sales"),
        }
    )


def evaluation_of(
    challenger, baseline=100.0, champion=None, own=None, metric: str = "mae", problem=None
) -> Evaluation:
    def metrics(value):
        return {} if value is None else {metric: value}

    entry = {"version": "old", "as_of": "2024-02-01", "metrics": metrics(champion), "problem": problem}
    compared = champion is not None or problem
    return Evaluation(
        metric=metric,
        challenger=metrics(challenger),
        baseline=metrics(baseline),
        champion=entry if compared else None,
        challenger_on_champion_rows=metrics(challenger if own is None else own) if compared else None,
        rows=70,
        compared_rows=40 if compared else 0,
    )


def outcome(spec: Spec, evaluation: Evaluation) -> dict[str, bool]:
    return {check.name: check.passed for check in judge(spec, evaluation).checks}


def test_a_good_challenger_passes_and_the_sentences_have_the_numbers():
    spec = spec_of(gate={"limits": {"mae": {"max": 80}}, "champion": {"margin": "5%"}})
    verdict = judge(spec, evaluation_of(41.0, 120.0, 42.0))
    assert verdict.promote
    assert verdict.sentence == "accepted: all 4 checks passed"
    details = {check.name: check.detail for check in verdict.checks}
    assert details["limit mae"] == "mae 41 is within its limit (at most 80)"
    assert details["baseline"] == "mae 41 is better than the dummy baseline's 120"
    assert details["champion"] == (
        "mae 41 is not worse than champion old's 42 (margin 0.05 of it) on the same 40 rows"
    )


@pytest.mark.parametrize(
    ("value", "limit", "passed"),
    [
        (80.0, {"max": 80}, True),
        (80.01, {"max": 80}, False),
        (10.0, {"min": 10}, True),
        (9.99, {"min": 10}, False),
        (50.0, {"min": 10, "max": 80}, True),
    ],
)
def test_limits_include_their_bounds(value, limit, passed):
    assert outcome(spec_of(gate={"limits": {"mae": limit}}), evaluation_of(value))["limit mae"] is passed


@pytest.mark.parametrize(
    ("metric", "own", "other", "margin", "passed"),
    [
        # Lower is better: 40 x 1.1 = 44 is the most that is allowed.
        ("mae", 40.0, 40.0, "0%", True),
        ("mae", 40.1, 40.0, "0%", False),
        ("mae", 44.0, 40.0, "10%", True),
        ("mae", 44.1, 40.0, "10%", False),
        # Higher is better: 0.8 x 0.9 = 0.72 is the least that is allowed.
        ("accuracy", 0.8, 0.8, "0%", True),
        ("accuracy", 0.79, 0.8, "0%", False),
        ("accuracy", 0.721, 0.8, "10%", True),
        ("accuracy", 0.719, 0.8, "10%", False),
        # A margin of a negative value still makes room downwards: -2 - 0.2.
        ("r2", -2.1, -2.0, "10%", True),
        ("r2", -2.3, -2.0, "10%", False),
    ],
)
def test_worse_than_the_champion_beyond_the_margin_is_refused(metric, own, other, margin, passed):
    spec = spec_of(metric, {"champion": {"margin": margin}})
    base = 1000.0 if metric == "mae" else -1000.0
    assert outcome(spec, evaluation_of(own, base, other, metric=metric))["champion"] is passed


@pytest.mark.parametrize(("value", "passed"), [(99.9, True), (100.0, False), (100.1, False)])
def test_the_baseline_must_be_beaten_not_met(value, passed):
    assert outcome(spec_of(), evaluation_of(value, 100.0))["baseline"] is passed


def test_the_champion_is_compared_on_the_shared_rows_alone():
    spec = spec_of()
    assert outcome(spec, evaluation_of(50.0, 100.0, 40.0, own=39.0))["champion"]
    assert not outcome(spec, evaluation_of(30.0, 100.0, 40.0, own=41.0))["champion"]


def test_without_a_champion_that_check_passes_and_says_so():
    verdict = judge(spec_of(), evaluation_of(41.0))
    assert verdict.promote
    assert verdict.checks[-1].detail == "there is no champion yet to be held against"


def test_a_champion_that_cannot_be_applied_is_a_refusal_that_says_what_to_do():
    verdict = judge(spec_of(), evaluation_of(41.0, problem="it does not fit today's features: x"))
    assert not verdict.promote
    assert "it does not fit today's features" in verdict.sentence
    assert "promote it by hand" in verdict.sentence


def test_a_limit_on_a_metric_that_is_missing_is_a_refusal():
    verdict = judge(spec_of(gate={"limits": {"rmse": {"max": 1e9}}}), evaluation_of(41.0))
    assert not verdict.promote
    assert verdict.sentence == "refused: rmse is missing on the hold-out, so its limit cannot be held"


def test_another_metric_that_is_not_finite_is_a_refusal():
    evaluation = evaluation_of(41.0)
    evaluation.challenger["r2"] = math.nan
    verdict = judge(spec_of(), evaluation)
    assert not verdict.promote
    assert "r2" in verdict.sentence


@given(challenger=ANY, baseline=ANY, champion=ANY, own=ANY, limited=st.booleans())
def test_whatever_is_missing_or_not_finite_is_never_promoted(challenger, baseline, champion, own, limited):
    spec = spec_of(gate={"limits": {"mae": {"max": 1e9}}} if limited else {})
    evaluation = Evaluation(
        metric="mae",
        challenger={} if challenger is None else {"mae": challenger},
        baseline={} if baseline is None else {"mae": baseline},
        champion={"version": "old", "metrics": {} if champion is None else {"mae": champion}},
        challenger_on_champion_rows={} if own is None else {"mae": own},
        rows=10,
        compared_rows=5,
    )
    verdict = judge(spec, evaluation)
    values = (challenger, baseline, champion, own)
    if any(value is None or not math.isfinite(value) for value in values):
        assert not verdict.promote
    else:
        assert verdict.promote == (challenger < baseline and own <= champion)
    assert verdict.promote == all(check.passed for check in verdict.checks)


@given(value=FINITE, better=st.floats(0, 1), baseline=FINITE, champion=FINITE, margin=st.floats(0, 2))
def test_to_be_better_never_turns_a_pass_into_a_refusal(value, better, baseline, champion, margin):
    spec = spec_of(gate={"limits": {"mae": {"max": 500.0}}, "champion": {"margin": margin}})
    if judge(spec, evaluation_of(value, baseline, champion)).promote:
        assert judge(spec, evaluation_of(value * better, baseline, champion)).promote


@given(challenger=ANY, baseline=ANY, champion=ANY)
def test_a_verdict_comes_back_as_it_was_written(challenger, baseline, champion):
    verdict = judge(spec_of(), evaluation_of(challenger, baseline, champion))
    assert Verdict.from_dict(verdict.to_dict()) == verdict
