"""What is called drift in worlds whose truth is known; all seeds are in `make bench ONLY=monitoring`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import pytest

from benchmarks.monitoring import CHANGES, World, describe, missed, seasonal, still, stretch, weekly
from tests.campaign import rounds

SPEC = describe()
SEASONAL = partial(seasonal, rows=600)
QUIET, SEEDS = rounds(60, 200), rounds(5, 20)


@cache
def quiet() -> World:
    """A year of 365,000 rows of 20 features; what comes after it is no different."""
    return World(SPEC, still, seed=1)


def test_where_nothing_changes_nothing_is_called_drift(tell: Callable[[str], None]) -> None:
    found = stretch(quiet(), days=QUIET)
    tell(f"{QUIET} quiet nights: {found}")
    assert found.pairs == QUIET * 20
    assert found.called < 0.01 * found.pairs
    assert found.trainings == 0


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_one_feature_is_seen_in_time(change: str, tell: Callable[[str], None]) -> None:
    late = sum(missed(quiet(), change, seed) for seed in range(SEEDS))
    tell(f"{change}: missed in {late} of {SEEDS}")
    assert late <= SEEDS // 20


def test_only_the_feature_that_changed_is_called() -> None:
    world = quiet()
    apply, feature, _ = CHANGES["mean shift of 0.5 sd"]
    nights = [
        world.night(world.spec.calendar.shift(world.as_of, n), apply(still("", world.draw), world.draw))
        for n in range(20)
    ]
    called = [name for night in nights for name, one in night.items() if one.drifted]
    assert called == [feature] * 20


@pytest.mark.parametrize("first", ["2023-01-01", "2023-07-10"])
def test_a_season_that_returns_is_no_drift(first: str) -> None:
    # Trained on a year of it; the half-year after, in which each feature moves by up to 4 sd
    found = stretch(World(SPEC, SEASONAL, seed=2, first=first), days=rounds(40, 180))
    print(first, found)
    assert found.called < 0.01 * found.pairs
    assert found.trainings == 0


def test_the_same_season_against_the_whole_window_would_be_drift() -> None:
    found = stretch(World(describe(reference="window"), SEASONAL, seed=2), days=rounds(15, 30))
    print(found)
    assert found.called > 0.5 * found.pairs
    assert found.trainings > 0


def test_a_week_is_no_drift() -> None:
    found = stretch(World(SPEC, weekly, seed=3), days=rounds(28, 60))
    print(found)
    assert (found.called, found.trainings) == (0, 0)


def test_winter_is_no_drift_to_a_window_of_autumn() -> None:
    found = stretch(World(SPEC, SEASONAL, seed=4, first="2023-09-01", window=90), days=rounds(90, 150))
    print(found)
    assert found.trainings == 0
    assert found.called < 0.05 * found.pairs


def test_a_change_is_seen_from_a_short_window_too() -> None:
    world = World(SPEC, seasonal, seed=5, first="2023-09-01", window=90)
    apply, feature, within = CHANGES["mean shift of 0.5 sd"]
    list(world.days(20))
    keys = [world.spec.calendar.shift(world.as_of, 20 + n) for n in range(within)]
    nights = [world.night(key, apply(world.day(key, world.draw), world.draw)) for key in keys]
    assert any(night[feature].drifted for night in nights)
