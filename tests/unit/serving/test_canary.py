"""Which keys a canary takes."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evergreen.serving.canary import place_of

keys = st.lists(st.one_of(st.integers(), st.text(), st.none(), st.datetimes()), min_size=1, max_size=3)


@given(keys)
def test_a_place_is_from_0_to_below_1_and_always_the_same(key: list[object]) -> None:
    assert 0 <= place_of("a", key) < 1
    assert place_of("a", key) == place_of("a", tuple(key))


def test_places_are_those_of_every_release() -> None:
    """Or a server of another release would answer the same key by another version: SHA-256 of their JSON."""
    assert round(place_of("2011-04-01-aaaa", [1]), 12) == 0.499366873778
    at = datetime(2024, 1, 1, tzinfo=UTC)
    assert round(place_of("2011-04-01-aaaa", ["kiosk", at]), 12) == 0.374590649748


def test_places_are_evenly_spread_and_another_version_has_others() -> None:
    ones = [place_of("a", [number]) for number in range(2000)]
    others = [place_of("b", [number]) for number in range(2000)]
    assert stats.kstest(ones, "uniform").pvalue > 0.001
    assert abs(stats.spearmanr(ones, others).statistic) < 0.1


def test_two_columns_are_no_other_two_whose_texts_meet() -> None:
    assert place_of("a", ["b", "cd"]) != place_of("a", ["bc", "d"])
