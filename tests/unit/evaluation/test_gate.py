from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.evaluation.evaluate import Evaluation
from evergreen.evaluation.fairness import FairnessResult, GroupResult
from evergreen.evaluation.gate import judge
from evergreen.evaluation.resources import ResourceUse
from evergreen.evaluation.slices import SliceResult
from evergreen.evaluation.verdict import Outcome, Verdict
from tests.unit.evaluation.evaluations import compared, details, evaluation_of, outcome, spec_of

FINITE = st.floats(0.001, 1e6)
TESTS = st.sampled_from(["non_inferiority", "superiority"])
ANY = st.one_of(FINITE, st.sampled_from([math.nan, math.inf, -math.inf]), st.none())


def test_a_good_challenger_passes_and_the_sentences_have_the_numbers():
    spec = spec_of(gate={"limits": {"mae": {"max": 80}}, "champion": {"margin": "5%"}})
    evaluation = evaluation_of(41.0, 120.0, 42.0, reach=2.0)
    verdict = judge(spec, evaluation)
    assert verdict.promote
    assert verdict.outcome is Outcome.PROMOTED
    assert verdict.sentence == "promoted: all 4 checks passed"
    assert details(spec, evaluation) == {
        "finite": "the challenger's metrics are finite numbers: mae",
        "limit mae": "mae 41 is within its limit (at most 80)",
        "baseline": "mae 41 is better than the dummy baseline's 120",
        "champion": "mae 41 is not worse than champion old's 42: its loss is -1 (-3 to 1 at 95% confidence), "
        "all of it to be at most 2.1 (5% of the champion's) (1,000 rounds, 40 rows in 8 blocks)",
    }


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
        # Higher is better: 0.8 - 10 % of the missing 0.2 = 0.78 is the least that is allowed.
        ("accuracy", 0.8, 0.8, "0%", True),
        ("accuracy", 0.79, 0.8, "0%", False),
        ("accuracy", 0.781, 0.8, "10%", True),
        ("accuracy", 0.779, 0.8, "10%", False),
        # A negative value has its distance from 1 too: -2 - 0.3.
        ("r2", -2.25, -2.0, "10%", True),
        ("r2", -2.35, -2.0, "10%", False),
    ],
)
def test_worse_than_the_champion_beyond_the_margin_is_refused(metric, own, other, margin, passed):
    spec = spec_of(metric, {"champion": {"margin": margin}})
    base = 1000.0 if metric == "mae" else -1000.0
    assert outcome(spec, evaluation_of(own, base, other, metric=metric))["champion"] is passed
    # Also when only the interval's far end is beyond the margin: then the champion stays all the same.
    assert not outcome(spec, evaluation_of(own, base, other, metric=metric, reach=abs(other)))["champion"]


def test_the_champion_is_compared_on_the_shared_rows_alone():
    spec = spec_of()
    assert outcome(spec, evaluation_of(50.0, 100.0, 40.0, own=39.0))["champion"]
    assert not outcome(spec, evaluation_of(30.0, 100.0, 40.0, own=41.0))["champion"]


@pytest.mark.parametrize(
    ("test", "own", "reach", "words", "passed", "is_open"),
    [
        # The champion's mae is 40 and the margin 10 %: a loss of 4, or under superiority a gain of 4.
        ("non_inferiority", 35.0, 4.0, "is better than", True, False),
        ("non_inferiority", 41.0, 3.0, "is not worse than", True, False),
        ("non_inferiority", 41.0, 3.1, "against", False, True),
        ("non_inferiority", 39.0, 9.0, "against", False, True),
        ("non_inferiority", 48.0, 3.9, "is worse than", False, False),
        ("superiority", 30.0, 5.9, "is better than", True, False),
        ("superiority", 30.0, 6.0, "against", False, True),  # a gain of just the margin is none
        ("superiority", 36.5, 0.1, "does not gain enough on", False, False),
        ("superiority", 42.0, 1.0, "is worse than", False, False),
    ],
)
def test_the_interval_decides_and_the_words_say_how(test, own, reach, words, passed, is_open):
    gate = {"champion": {"test": test, "margin": "10%"}}
    evaluation = evaluation_of(own, 100.0, 40.0, reach=reach)
    detail = details(spec_of(gate=gate), evaluation)["champion"]
    assert f"mae {own:g} {words} champion old's 40" in detail
    expected = Outcome.INCONCLUSIVE if is_open else Outcome.PROMOTED if passed else Outcome.WORSE
    assert judge(spec_of(gate=gate), evaluation).outcome is expected
    asked = judge(spec_of(gate=gate | {"approval": {"when": "inconclusive"}}), evaluation)
    assert asked.outcome is expected
    assert asked.needs_approval is is_open


def test_an_inconclusive_comparison_keeps_the_champion_unless_a_person_is_asked():
    evaluation = evaluation_of(39.0, 100.0, 40.0, reach=5.0)
    alone = judge(spec_of(), evaluation)
    assert (alone.promote, alone.needs_approval) == (False, False)
    assert alone.sentence.startswith("inconclusive: mae 39 against champion old's 40")
    asked = judge(spec_of(gate={"approval": {}}), evaluation)
    assert (asked.promote, asked.needs_approval) == (False, True)
    assert asked.sentence.startswith("a person is asked for approval: inconclusive: mae 39")


def test_an_inconclusive_comparison_says_what_would_be_seen_and_others_do_not():
    # 8 blocks: t of 7 degrees of freedom 2.3646, z(0.8) 0.8416. 5 / 2.3646 * (2.3646 + 0.8416) / 40 = 16.9 %
    open_ = details(spec_of(), evaluation_of(39.0, 100.0, 40.0, reach=5.0))["champion"]
    assert open_.endswith("in 8 blocks); this hold-out shows a gain of 17% or more in 4 of 5 cases")
    for own in (30.0, 50.0):
        decided = details(spec_of(), evaluation_of(own, 100.0, 40.0, reach=5.0))["champion"]
        assert "shows a gain" not in decided
    nothing = evaluation_of(39.0, 100.0, 0.0, reach=50.0)
    assert "hold-out shows" not in details(spec_of(), nothing)["champion"]


def test_approval_always_asks_also_where_all_passed():
    asked = judge(spec_of(gate={"approval": {"when": "always"}}), evaluation_of(41.0, 100.0, 42.0))
    assert (asked.outcome, asked.promote, asked.needs_approval) == (Outcome.PROMOTED, False, True)
    assert asked.sentence == "a person is asked for approval: all 3 checks passed"
    only = judge(spec_of(gate={"approval": {"when": "inconclusive"}}), evaluation_of(41.0, 100.0, 42.0))
    assert only.outcome is Outcome.PROMOTED


def test_a_challenger_that_may_replace_a_champion_waits_for_its_shadow():
    spec = spec_of(gate={"shadow": "1000 rows"})
    waits = judge(spec, evaluation_of(41.0, 100.0, 42.0))
    assert (waits.outcome, waits.promote, waits.waits) == (Outcome.PROMOTED, False, True)
    assert waits.sentence == "waits for its shadow: 0 of 1,000 rows; promoted: all 3 checks passed"
    assert Verdict.from_dict(waits.to_dict()) == waits
    first = judge(spec, evaluation_of(41.0))
    assert (first.promote, first.waits) == (True, False)
    for worse, expected in ((90.0, Outcome.WORSE), (41.0, Outcome.INCONCLUSIVE)):
        found = judge(spec, evaluation_of(worse, 100.0, 42.0, reach=5.0))
        assert (found.outcome, found.waits) == (expected, False)
    both = judge(
        spec_of(gate={"shadow": "1000 rows", "approval": {"when": "inconclusive"}}),
        evaluation_of(41.0, 100.0, 42.0, reach=5.0),
    )
    assert (both.needs_approval, both.shadow) == (True, 1000)


def test_no_person_is_asked_about_a_challenger_that_fails_elsewhere():
    gate = {"approval": {}, "limits": {"mae": {"max": 10}}}
    assert judge(spec_of(gate=gate), evaluation_of(39.0, 100.0, 40.0, reach=5.0)).outcome is Outcome.WORSE
    assert judge(spec_of(gate=gate), evaluation_of(39.0, 100.0, problem="gone")).outcome is Outcome.WORSE


def test_too_few_blocks_for_an_interval_leave_the_question_open():
    found = replace(compared(39.0, 40.0), rows=24, blocks=1, low=math.nan, high=math.nan)
    evaluation = evaluation_of(39.0, 100.0, 40.0, comparison=found)
    assert judge(spec_of(), evaluation).outcome is Outcome.INCONCLUSIVE
    assert "24 rows in 1 block are too little for an interval" in details(spec_of(), evaluation)["champion"]


@pytest.mark.parametrize(
    ("own", "champion", "expected"),
    [(41.0, math.nan, Outcome.INCONCLUSIVE), (math.nan, 42.0, Outcome.WORSE)],
)
def test_only_a_champion_without_a_value_leaves_the_question_open(own, champion, expected):
    evaluation = evaluation_of(41.0, 100.0, champion, own=own)
    assert judge(spec_of(gate={"approval": {}}), evaluation).outcome is expected


def test_a_champion_that_may_have_seen_the_rows_is_said_to():
    evaluation = evaluation_of(41.0, 100.0, 42.0)
    evaluation.champion["seen"] = True
    assert "which the champion was perhaps trained on" in details(spec_of(), evaluation)["champion"]


def test_without_a_champion_that_check_passes_and_says_so():
    verdict = judge(spec_of(), evaluation_of(41.0))
    assert verdict.promote
    assert verdict.checks[-1].detail == "there is no champion yet to compare with"


def test_a_champion_that_cannot_be_applied_is_a_refusal_that_says_what_to_do():
    verdict = judge(spec_of(), evaluation_of(41.0, problem="it does not fit today's features: x"))
    assert not verdict.promote
    assert "it does not fit today's features" in verdict.sentence
    assert "promote it by hand" in verdict.sentence
    asked = judge(
        spec_of(gate={"approval": {}}),
        evaluation_of(41.0, problem="it does not fit today's features: x"),
    )
    assert asked.outcome is Outcome.INCONCLUSIVE


def test_an_interval_of_stretches_says_of_how_many_partitions():
    found = replace(compared(39.0, 42.0, 1.0), rows=9_991, blocks=28, parts_of=2)
    evaluation = evaluation_of(39.0, 100.0, 42.0, comparison=found)
    said = details(spec_of(), evaluation)["champion"]
    assert "9,991 rows in 28 blocks of 2 partitions that are alike" in said


def test_a_limit_on_a_metric_that_is_missing_is_a_refusal():
    verdict = judge(spec_of(gate={"limits": {"rmse": {"max": 1e9}}}), evaluation_of(41.0))
    assert not verdict.promote
    assert verdict.sentence == "worse: rmse is missing on the hold-out, so its limit cannot be checked"


def test_another_metric_that_is_not_finite_is_a_refusal():
    evaluation = evaluation_of(41.0)
    evaluation.challenger["r2"] = math.nan
    verdict = judge(spec_of(), evaluation)
    assert not verdict.promote
    assert "r2" in verdict.sentence


def test_a_metric_that_the_rows_have_no_value_of_is_no_fault_of_the_challenger():
    evaluation = evaluation_of(41.0)
    evaluation.challenger["mape"] = evaluation.baseline["mape"] = math.nan
    verdict = judge(spec_of(), evaluation)
    assert verdict.promote
    assert "mape cannot be computed on these rows" in verdict.checks[0].detail
    assert not judge(spec_of(gate={"limits": {"mape": {"max": 1e9}}}), evaluation).promote
    evaluation.baseline["mape"] = 0.5
    assert not judge(spec_of(), evaluation).promote


def test_without_a_finite_deciding_metric_nothing_is_promoted_even_if_the_baseline_has_none():
    assert not judge(spec_of(), evaluation_of(math.nan, math.nan)).promote


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
        against_baseline=compared(challenger, baseline),
        comparison=compared(own, champion),
    )
    verdict = judge(spec, evaluation)
    values = (challenger, baseline, champion, own)
    if any(value is None or not math.isfinite(value) for value in values):
        assert not verdict.promote
    else:
        assert verdict.promote == (own <= champion and (challenger < baseline or own < champion))
    assert verdict.promote == all(check.passed for check in verdict.checks)
    assert not judge(spec, replace(evaluation, comparison=None)).promote


@given(
    value=FINITE,
    better=st.floats(0, 1),
    baseline=FINITE,
    champion=FINITE,
    margin=st.floats(0, 2),
    reach=st.floats(0, 100),
)
def test_to_be_better_never_turns_a_pass_into_a_refusal(value, better, baseline, champion, margin, reach):
    spec = spec_of(gate={"limits": {"mae": {"max": 500.0}}, "champion": {"margin": margin}})
    if judge(spec, evaluation_of(value, baseline, champion, reach=reach)).promote:
        assert judge(spec, evaluation_of(value * better, baseline, champion, reach=reach)).promote


@given(value=FINITE, champion=FINITE, reach=st.floats(0, 100), wider=st.floats(0, 100), test=TESTS)
def test_to_know_less_never_turns_a_refusal_into_a_pass(value, champion, reach, wider, test):
    spec = spec_of(gate={"champion": {"test": test, "margin": "5%"}})
    if not judge(spec, evaluation_of(value, 1e9, champion, reach=reach)).promote:
        assert not judge(spec, evaluation_of(value, 1e9, champion, reach=reach + wider)).promote


@given(challenger=ANY, baseline=ANY, champion=ANY, approval=st.sampled_from([None, "always", "inconclusive"]))
def test_a_verdict_comes_back_as_it_was_written(challenger, baseline, champion, approval):
    gate = {} if approval is None else {"approval": {"when": approval}}
    verdict = judge(spec_of(gate=gate), evaluation_of(challenger, baseline, champion, reach=1.0))
    assert Verdict.from_dict(json.loads(json.dumps(verdict.to_dict(), allow_nan=False))) == verdict


def slice_of(value, own, other, reach=0.0, rows=40, required=False, column="season") -> SliceResult:
    comparison = None if own is None else compared(own, other, reach, rows=rows)
    return SliceResult(column, value, rows, required, comparison)


@pytest.mark.parametrize(
    ("own", "reach", "passed", "words"),
    [
        # The champion's mae on the slice is 40, a loss of 4 is allowed.
        (36.0, 1.0, True, "its loss is -4 (-5 to -3"),
        (44.0, 1.0, True, "and at most 4 is allowed (10% of the champion's)"),
        (44.1, 1.0, False, "hardly by chance"),
        (60.0, 20.0, True, "perhaps by chance"),
        (60.0, 19.9, False, "hardly by chance"),
        (60.0, math.nan, False, "too few blocks for an interval"),
        (44.0, math.nan, True, "too few blocks for an interval"),
        (math.nan, 0.0, False, "mae cannot be computed of both on season=4 (40 rows)"),
    ],
)
def test_a_slice_may_not_lose_more_than_its_margin(own, reach, passed, words):
    spec = spec_of(gate={"slices": ["season"], "approval": {}})
    evaluation = evaluation_of(41.0, 100.0, 42.0, slices=(slice_of("4", own, 40.0, reach),))
    assert outcome(spec, evaluation)["slice season=4"] is passed
    assert words in details(spec, evaluation)["slice season=4"]
    # What fails on a slice is an answer: no person is asked about it.
    assert judge(spec, evaluation).outcome is (Outcome.PROMOTED if passed else Outcome.WORSE)


def test_a_slice_of_too_few_rows_is_reported_and_refused_only_if_it_is_required():
    spec = spec_of(gate={"slices": [{"column": "season", "minimum": 30}]})
    results = [
        slice_of("1", 39.0, 40.0),
        slice_of("2", None, None, rows=29),
        slice_of("3", None, None, rows=0),
    ]
    spared = evaluation_of(41.0, 100.0, 42.0, slices=tuple(results))
    assert judge(spec, spared).promote
    assert details(spec, spared)["slice season, few rows"] == "fewer than 30 rows to judge by: 2, 3"
    required = evaluation_of(41.0, 100.0, 42.0, slices=(*results[:2], replace(results[2], required=True)))
    assert judge(spec, required).sentence == (
        "worse: season=3 is required, and 0 rows are too few to judge (30 are asked for)"
    )
    without = evaluation_of(41.0, slices=(replace(results[1], required=True),))
    assert not judge(spec, without).promote


def test_slices_wait_for_the_person_who_decides_about_a_champion_that_cannot_be_compared():
    evaluation = evaluation_of(41.0, problem="gone", slices=(slice_of("1", None, None),))
    gate = {"slices": ["season"]}
    assert judge(spec_of(gate=gate), evaluation).outcome is Outcome.INCONCLUSIVE
    assert judge(spec_of(gate=gate | {"approval": {}}), evaluation).needs_approval
    # But not where the champion was compared, and a slice for some reason was not.
    compared_ = evaluation_of(41.0, 100.0, 42.0, slices=(slice_of("1", None, None),))
    assert judge(spec_of(gate=gate | {"approval": {}}), compared_).outcome is Outcome.WORSE


def test_what_was_not_measured_is_refused():
    gate = {
        "slices": ["season"],
        "fairness": [{"column": "sex", "metric": "mae", "max_difference": 1.0}],
        "resources": {"latency": {"row": 5, "thousand_rows": 50}, "size": "10 MB", "memory": "1 GB"},
    }
    failed = {name for name, passed in outcome(spec_of(gate=gate), evaluation_of(41.0)).items() if not passed}
    assert failed == {
        "slice season",
        "fairness mae by sex",
        "latency of a row",
        "latency of 1,000 rows",
        "size",
        "memory",
    }
    classifier = spec_of("accuracy", {"calibration": 0.1})
    evaluation = evaluation_of(0.9, 0.5, metric="accuracy")
    assert outcome(classifier, evaluation)["calibration"] is False


@pytest.mark.parametrize(
    ("metrics", "passed", "words"),
    [
        ([40.0, 41.0, 44.5], True, "40 of sex=a (50 rows) and 44.5 of sex=c (50 rows), a difference of 4.5"),
        ([40.0, 45.0], True, "at most 5"),
        ([46.0, 40.5], False, "40.5 of sex=b (50 rows) and 46 of sex=a (50 rows), a difference of 5.5"),
        ([40.0], False, "fewer than two of them have 30 rows"),
        ([40.0, math.nan, 41.0], False, "mae cannot be computed of sex b"),
    ],
)
def test_groups_may_not_differ_by_more_than_is_allowed(metrics, passed, words):
    spec = spec_of(gate={"fairness": [{"column": "sex", "metric": "mae", "max_difference": 5.0}]})
    groups = [GroupResult(value, 50, True, metric) for value, metric in zip("abc", metrics, strict=False)]
    found = FairnessResult("sex", "mae", (*groups, GroupResult("x", 3, False, math.nan)))
    evaluation = evaluation_of(41.0, fairness=(found,))
    assert outcome(spec, evaluation)["fairness mae by sex"] is passed
    assert words in details(spec, evaluation)["fairness mae by sex"]
    if math.isfinite(found.difference):
        assert "fewer than 30 rows to judge by: x" in details(spec, evaluation)["fairness mae by sex"]


@pytest.mark.parametrize(
    ("value", "passed"), [(0.05, True), (0.0501, False), (None, False), (math.nan, False)]
)
def test_calibration_has_a_limit(value, passed):
    spec = spec_of("accuracy", {"calibration": 0.05})
    evaluation = evaluation_of(0.9, 0.5, metric="accuracy", calibration=value)
    assert outcome(spec, evaluation)["calibration"] is passed


@pytest.mark.parametrize(
    ("use", "failed"),
    [
        (ResourceUse(5.0, 50.0, 2.0**20, 2.0**21), set()),
        (ResourceUse(5.1, 50.0, 2.0**20, 2.0**21), {"latency of a row"}),
        (ResourceUse(5.0, 50.1, 2.0**20 + 1, 2.0**21), {"latency of 1,000 rows", "size"}),
        (ResourceUse(5.0, math.nan, 2.0**20, 2.0**22), {"latency of 1,000 rows", "memory"}),
    ],
)
def test_resources_have_limits(use, failed):
    limits = {"latency": {"row": 5, "thousand_rows": 50}, "size": "1 MB", "memory": "2 MB"}
    spec = spec_of(gate={"resources": limits})
    found = outcome(spec, evaluation_of(41.0, resources=use))
    assert {name for name, passed in found.items() if not passed} == failed


def test_the_words_of_resources_have_their_units():
    spec = spec_of(gate={"resources": {"latency": {"row": 5}, "size": "1 MB"}})
    found = details(spec, evaluation_of(41.0, resources=ResourceUse(row=7.25, size=40_960.0)))
    assert found["latency of a row"] == "latency of a row: 7.25 ms is above its limit of 5 ms"
    assert found["size"] == "size: 40 kB is within its limit of 1 MB"
