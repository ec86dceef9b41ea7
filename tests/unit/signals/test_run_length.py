"""The limit of Page's sum without a law of the scores: its bound, and the laws that come nearest to it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.signals.run_length import MOST, SLACK, _exponent, capped, limit
from evergreen.signals.sequential import page_sums


def test_the_exponent_solves_bennetts_bound() -> None:
    t = _exponent()
    assert math.exp(t * MOST) - 1 - t * MOST == pytest.approx(MOST**2 * t * SLACK)
    assert 0.5 < t < 2 * SLACK  # 2 k is that of normal scores
    assert limit(1000) == pytest.approx(math.log(1000) / t)
    assert (limit(1), limit(0.2)) == (0, 0)


@given(
    st.lists(
        st.tuples(st.floats(-20, 20), st.floats(0.01, 1)),
        min_size=2,
        max_size=6,
        unique_by=lambda one: round(one[0], 1),
    )
)
def test_no_law_of_mean_0_and_variance_1_beats_the_bound(law: list[tuple[float, float]]) -> None:
    values, weights = (np.array(column) for column in zip(*law, strict=True))
    weights /= weights.sum()
    values = values - weights @ values
    scores = values / math.sqrt(weights @ values**2)
    assert weights @ np.exp(_exponent() * (capped(scores) - SLACK)) <= 1 + 1e-9


@pytest.mark.parametrize("law", ["worst", "normal", "seldom and large"])
def test_false_alarms_are_as_rare_as_asked(law: str) -> None:
    """Of 1,000 sums of 400 scores, with a run length of 400."""
    draw = np.random.default_rng(5)
    shape = (1000, 400)
    scores = {
        # The law for which Bennett's bound is nearest: 3 with a probability of 1 in 10.
        "worst": lambda: np.where(draw.random(shape) < 0.1, 3.0, -1 / 3),
        "normal": lambda: draw.standard_normal(shape),
        "seldom and large": lambda: np.where(draw.random(shape) < 0.01, math.sqrt(99), -1 / math.sqrt(99)),
    }[law]()
    crossed = (page_sums(capped(scores), SLACK, limit(400)) > limit(400)).any(axis=1).mean()
    assert crossed < {"worst": 0.3, "normal": 0.03, "seldom and large": 0.01}[law]
    # One standard deviation more than expected is found by all but a few of them.
    changed = page_sums(capped(scores + 1), SLACK, limit(400)) > limit(400)
    assert changed.any(axis=1).mean() > 0.97
