from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evergreen.candidates.proposals import Proposals, proposals_of
from tests.campaign import examples

RIDGE = "{estimator: sklearn.linear_model.Ridge, params: {alpha: 1.0}}"


def searched(search: str, trials: int) -> dict[str, str]:
    return {
        RIDGE: f"{{estimator: sklearn.linear_model.Ridge, search: {{{search}}}}}",
        "trials: 4": f"trials: {trials}",
    }


def all_of(proposals: Proposals, score=lambda setting: setting["alpha"]) -> list[dict]:
    found = []
    while not proposals.exhausted and (setting := proposals.next()) is not None:
        proposals.learn(score(setting))
        found.append(setting)
    return found


@settings(
    max_examples=examples(12), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(values=st.integers(2, 14), trials=st.integers(1, 13))
def test_no_setting_is_proposed_twice_and_none_is_wanting(make_spec, values, trials):
    # With a few values the sampler settles on the best soon, and suggests it again and again.
    proposals = proposals_of(make_spec(changes=searched(f"alpha: [1, {values}, int]", trials)), 0)
    found = [setting["alpha"] for setting in all_of(proposals)]
    assert proposals.size == len(found) == min(trials, values)
    assert len(set(found)) == len(found)
    assert proposals.exhausted


def test_equal_choices_end_the_search_when_there_is_nothing_new(make_spec):
    choices = "{choices: [1, 1, 1, 1, 1, 1, 1]}"
    proposals = proposals_of(make_spec(changes=searched(f"alpha: {choices}", 6)), 0)
    assert all_of(proposals) == [{"alpha": 1}]
    assert proposals.exhausted


def test_without_a_search_there_is_one_empty_setting(make_spec):
    proposals = proposals_of(make_spec(), 0)
    assert (proposals.size, proposals.next(), proposals.exhausted, proposals.next()) == (1, {}, True, None)


def test_what_is_learnt_bears_on_what_is_proposed_and_the_seed_repeats_it(make_spec):
    spec = make_spec(changes=searched("alpha: [0.0, 1.0]", 40))

    def near(best: float) -> list[float]:
        settings = all_of(proposals_of(spec, 0), lambda setting: abs(setting["alpha"] - best))
        return [setting["alpha"] for setting in settings]

    low, high = near(0.0), near(1.0)
    assert near(0.0) == low
    assert low[:10] == high[:10]  # drawn at random before anything is learnt
    assert sum(low[10:]) < 10 < 20 < sum(high[10:])


@pytest.mark.parametrize("score", [None, math.nan, math.inf])
def test_a_setting_without_a_score_does_not_stop_the_search(make_spec, score):
    spec = make_spec(changes=searched("alpha: [0.0, 1.0]", 15))
    assert len(all_of(proposals_of(spec, 0), lambda _: score)) == 15
