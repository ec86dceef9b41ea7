"""Rows drawn by their keys: the same whatever they come with, and no more in memory than twice as many."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evergreen.training_set.draw import Draw, lots
from evergreen.training_set.holdout import holdout_mask


def drawn(size: int | float, rows: pd.DataFrame, numbers: np.ndarray, pieces: int) -> Draw:
    found = Draw(size)
    for piece in np.array_split(np.arange(len(rows)), pieces):
        found.add(rows.iloc[piece], rows.iloc[piece] * 2, numbers[piece])
    return found


@pytest.fixture
def rows() -> pd.DataFrame:
    return pd.DataFrame({"number": np.arange(10_000)})


@pytest.fixture
def numbers() -> np.ndarray:
    step = np.uint64(2**64 // 10_000)
    return np.random.default_rng(0).permutation(10_000).astype(np.uint64) * step + step // np.uint64(2)


@pytest.mark.parametrize("size", [500, 0.05])
def test_the_lowest_lots_are_drawn_in_their_order_whatever_the_pieces(rows, numbers, size):
    whole, _ = drawn(size, rows, numbers, 1).drawn()
    assert len(whole) == 500
    assert set(whole["number"]) == set(np.argsort(numbers)[:500])
    assert whole["number"].is_monotonic_increasing
    for pieces in (7, 500):
        found = drawn(size, rows, numbers, pieces)
        again, features = found.drawn()
        pd.testing.assert_frame_equal(again, whole)
        pd.testing.assert_frame_equal(features, whole * 2)
        assert found.offered == 10_000


def test_it_never_holds_more_than_twice_the_sample_and_a_piece(rows, numbers):
    found = Draw(500)
    for piece in np.array_split(np.arange(len(rows)), 100):
        found.add(rows.iloc[piece], rows.iloc[piece], numbers[piece])
        assert sum(len(part.rows) for part in found._parts) <= 1_000


def test_of_rows_with_one_key_the_first_are_drawn(rows):
    same = np.zeros(len(rows), dtype=np.uint64)
    assert drawn(3, rows, same, 50).drawn()[0]["number"].tolist() == [0, 1, 2]


def test_a_lot_follows_from_the_key_and_the_seed_alone(make_spec, people, snapshot):
    spec = make_spec(snapshot)
    found = lots(spec, people)
    assert len(set(found)) == len(people)
    shuffled = people.sample(frac=1, random_state=1).assign(spent=0.0)
    assert lots(spec, shuffled).tolist() == found[shuffled.index].tolist()
    # A column holds decimals as soon as a value is missing.
    assert lots(spec, people.astype({"person": float})).tolist() == found.tolist()
    other = make_spec(snapshot, {"holdout: 20%": "holdout: 20%\n  seed: 1"})
    assert not set(lots(other, people)) & set(found)


@pytest.mark.parametrize(
    "key",
    [
        pd.Series(np.arange(20_000)),
        pd.Series(np.arange(20_000) / 7),
        pd.Series(np.arange(20_000)).astype(str),
        pd.Series(pd.date_range("2024-01-01", periods=20_000, freq="h", tz="UTC")),
    ],
    ids=["numbers", "decimals", "texts", "times"],
)
def test_lots_are_even(make_spec, snapshot, key):
    found = lots(make_spec(snapshot), pd.DataFrame({"person": key})).astype(float) / 2**64
    counts = np.histogram(found, bins=20, range=(0, 1))[0]
    assert ((counts - 1_000) ** 2 / 1_000).sum() < 43.8  # chi-squared of 19 degrees: 1 in 1000
    assert abs(np.corrcoef(found[1:], found[:-1])[0, 1]) < 0.03


def test_the_hold_out_of_a_snapshot_is_drawn_apart_from_its_sample(make_spec, snapshot):
    spec = make_spec(snapshot)
    people = pd.DataFrame({"person": np.arange(4_000)})
    sampled = lots(spec, people) < np.uint64(2**64 // 5)
    held = holdout_mask(spec, people, pd.Series(["yes", "no"] * 2_000), "snapshot")
    assert 0.14 < held[sampled].mean() < 0.26
