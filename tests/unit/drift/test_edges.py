"""The fast way of finding bins finds the same ones as a binary search for every number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.drift.edges import _BATCH, SLOTS, Edges


def plainly(edges: np.ndarray, numbers: np.ndarray) -> list[int]:
    places = [int(np.sum(edges < number)) for number in numbers if np.isfinite(number)]
    return np.bincount(places, minlength=len(edges) + 1).tolist()


def test_bins_are_closed_on_the_right() -> None:
    assert Edges(np.array([1.0, 2.0])).count(np.array([0.0, 1.0, 1.5, 2.0, 3.0])).tolist() == [2, 2, 1]


def test_no_edges_make_one_bin() -> None:
    assert Edges(np.array([])).count(np.array([1.0, np.nan, np.inf, -5.0])).tolist() == [2]


DRAWS = {
    "normal": lambda draw, n: draw.normal(size=n),
    "lognormal": lambda draw, n: draw.lognormal(sigma=3, size=n),
    "cauchy": lambda draw, n: draw.standard_cauchy(size=n),
    "few values": lambda draw, n: draw.poisson(3, size=n).astype(float),
    "tiny": lambda draw, n: draw.normal(size=n) * 1e-320,
    "large": lambda draw, n: draw.normal(size=n) * 1e307,
    "far from zero": lambda draw, n: 1e15 + draw.integers(0, 300, size=n).astype(float),
}


@pytest.mark.parametrize("kind", DRAWS)
def test_every_number_is_in_the_bin_of_a_binary_search(kind: str) -> None:
    draw = np.random.default_rng(4)
    numbers = DRAWS[kind](draw, 3 * _BATCH + 17)
    edges = np.unique(numbers[draw.integers(0, len(numbers), 49)])
    # The edges themselves, and the numbers right beside them, are where rounding would show.
    close = np.concatenate([edges, np.nextafter(edges, np.inf), np.nextafter(edges, -np.inf)])
    strange = np.array([np.nan, np.inf, -np.inf, np.finfo(float).max, -np.finfo(float).max, 0.0, -0.0])
    every = np.concatenate([numbers, close, strange])
    known = every[np.isfinite(every)]
    wanted = np.bincount(np.searchsorted(edges, known, side="left"), minlength=len(edges) + 1)
    assert Edges(edges).count(every).tolist() == wanted.tolist()


def test_the_fast_way_is_taken() -> None:
    numbers = np.random.default_rng(0).normal(size=SLOTS)
    assert Edges(np.sort(numbers[:49]))._grid is not None
    crowded = np.sort(np.concatenate([[-1e9, -1e8], np.linspace(0, 1e-6, 45), [1e8, 1e9]]))
    assert Edges(crowded)._grid is None
    assert Edges(crowded).count(numbers).tolist() == plainly(crowded, numbers)


floats = st.floats(allow_nan=True, allow_infinity=True)


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=0, max_size=12, unique=True),
    st.lists(floats, max_size=40),
)
def test_any_edges_and_any_numbers(edges: list[float], numbers: list[float]) -> None:
    ascending = np.unique(np.array(edges, dtype=float))
    drawn = np.array([*numbers, *edges], dtype=float)
    repeated = np.tile(drawn, -(-SLOTS // max(len(drawn), 1)))  # enough of them for the fast way
    wanted = np.array(plainly(ascending, drawn)) * (len(repeated) // max(len(drawn), 1))
    assert Edges(ascending).count(repeated).tolist() == wanted.tolist()
