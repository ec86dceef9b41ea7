"""The curve of fixed schedules, and how far from it a policy lies."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.backtest.result import PolicyResult
from evergreen.backtest.tradeoff import Point, above_curve, on_curve, points


def result(policy: str, trainings: int, value: float | None, metric: str = "mae") -> PolicyResult:
    return PolicyResult(policy, metric, value, trainings, trainings, 0, 1.0)


RESULTS = [
    result("configured", 20, 30.0),
    result("every 7", 40, 20.0),
    result("never", 1, 80.0),
    result("every 30", 10, 40.0),
    result("empty", 3, None),
]


def test_fixed_schedules_are_the_curve() -> None:
    fixed, others = points(RESULTS)
    assert [point.policy for point in fixed] == ["never", "every 30", "every 7"]
    assert [point.policy for point in others] == ["configured"]
    assert on_curve(fixed, 10) == 40
    assert on_curve(fixed, 1) == 80
    assert on_curve(fixed, 20) == pytest.approx(30)  # once doubled of twice
    assert on_curve(fixed, 5) is None  # from 1 to 10 it is too far for a line
    assert on_curve(fixed, 500) == 20
    assert on_curve(fixed, 0) is None
    assert on_curve(fixed[:1], 1) is None


def test_a_share_above_or_below_the_curve() -> None:
    lower = [replace(RESULTS[0], value=27.0), *RESULTS[1:]]
    assert above_curve(RESULTS, "configured") == pytest.approx(0)
    assert above_curve(lower, "configured") == pytest.approx(-0.1)
    assert above_curve(RESULTS, "every 7") is None
    assert above_curve(RESULTS, "empty") is None
    scores = [
        result("every 30", 5, 0.5, "accuracy"),
        result("every 7", 20, 0.9, "accuracy"),
        result("configured", 10, 0.77, "accuracy"),
    ]
    # The curve has 0.7 at 10 trainings, so 0.3 are missing there, and only 0.23 of the policy's.
    assert above_curve(scores, "configured") == pytest.approx(-0.07 / 0.3)


def test_an_area_under_a_curve_is_compared_by_what_it_lacks() -> None:
    areas = [
        result("every 30", 5, 0.78, "roc_auc"),
        result("every 7", 20, 0.82, "roc_auc"),
        result("configured", 10, 0.78, "roc_auc"),
        result("better", 10, 0.90, "roc_auc"),
    ]
    assert above_curve(areas, "configured") == pytest.approx(0.1)  # 0.22 against 0.20
    assert above_curve(areas, "better") == pytest.approx(-0.5)  # 0.10 against 0.20
    perfect = [result("every 30", 5, 1.0, "roc_auc"), result("every 7", 20, 1.0, "roc_auc"), areas[2]]
    assert above_curve(perfect, "configured") is None


@given(st.dictionaries(st.integers(1, 500), st.floats(0.1, 100), min_size=2), st.integers(1, 500))
def test_the_curve_stays_between_its_points(counts: dict[int, float], trainings: int) -> None:
    fixed = [Point(f"every {n}", n, value) for n, value in sorted(counts.items())]
    found = on_curve(fixed, trainings)
    if trainings < fixed[0].trainings:
        assert found is None
    elif found is None:
        later = next(point for point in fixed if point.trainings > trainings)
        earlier = max(point.trainings for point in fixed if point.trainings <= trainings)
        assert later.trainings > 5 * earlier
    else:
        low, high = min(counts.values()), max(counts.values())
        assert low * (1 - 1e-9) <= found <= high * (1 + 1e-9)
