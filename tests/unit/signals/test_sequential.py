"""Page's cumulative sum: its path by hand, its run lengths by simulation, and its spread."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from evergreen.signals.sequential import (
    Crossing,
    cusum,
    page_sums,
    standardised,
    widened_spread,
    widening,
)

K, H = 0.5, 5.0
YEAR = 365
DAYS = [f"2024-03-{day:02d}" for day in range(1, 32)]
FLOATS = st.floats(-50, 50, allow_nan=False)


def found(scores: list[float], k: float = K, h: float = H) -> Crossing:
    """The crossing of errors that promise 100 with a spread of 10."""
    errors = [100 + 10 * score for score in scores]
    return cusum(errors, 100.0, 10.0, k, h, partitions=DAYS[: len(scores)])


def test_the_sum_by_hand() -> None:
    crossing = found([0.5, 1.5, -1.0, 2.5, 2.5, 2.5])
    # steps 0, 1, -1.5, 2, 2, 2: the sums are 0, 1, 0, 2, 4, 6
    assert crossing == Crossing(
        crossed=True,
        sum=pytest.approx(6.0),
        since="2024-03-04",
        at="2024-03-06",
        scores=pytest.approx([0.5, 1.5, -1.0, 2.5, 2.5, 2.5]),
    )
    assert crossing.to_dict()["since"] == "2024-03-04"


def test_a_rise_that_has_not_crossed() -> None:
    crossing = found([0.0, 2.0, 2.0])
    assert (crossing.crossed, crossing.since, crossing.at) == (False, "2024-03-02", None)
    assert crossing.sum == pytest.approx(3.0)


def test_a_rise_that_has_come_down_again_says_when_it_crossed() -> None:
    crossing = found([2.5, 2.5, 2.5, -1.0])
    assert (crossing.crossed, crossing.since, crossing.at) == (False, "2024-03-01", "2024-03-03")
    assert crossing.sum == pytest.approx(4.5)


def test_an_earlier_rise_is_over_once_the_sum_is_back_at_nothing() -> None:
    crossing = found([2.5, 2.5, 2.5, -20.0, 1.0])
    assert (crossing.crossed, crossing.since, crossing.at) == (False, "2024-03-05", None)
    over = found([2.5, 2.5, 2.5, -20.0])
    assert (over.crossed, over.sum, over.since, over.at) == (False, 0.0, None, None)


def test_errors_at_the_promise_are_no_rise() -> None:
    assert found([0.0] * 31) == Crossing(False, 0.0, None, None, pytest.approx([0.0] * 31))


def test_no_errors_at_all() -> None:
    assert cusum([], 1.0, 1.0, K, H, partitions=[]) == Crossing(False, 0.0, None, None, [])


def test_a_metric_that_is_better_when_higher_crosses_when_it_falls() -> None:
    falling = [0.9, 0.7, 0.7, 0.7]
    worse = cusum(falling, 0.9, 0.05, K, H, partitions=DAYS[:4], higher_is_better=True)
    assert (worse.crossed, worse.since) == (True, "2024-03-02")
    assert worse.scores == pytest.approx([0.0, 4.0, 4.0, 4.0])
    better = cusum(falling, 0.9, 0.05, K, H, partitions=DAYS[:4])
    assert (better.crossed, better.sum) == (False, 0.0)


@pytest.mark.parametrize("h", [1.0, 4.0, 5.0, 8.0])
def test_one_bad_partition_does_not_cross_alone_and_two_in_a_row_do(h: float) -> None:
    assert not found([0.0, 1e6, 0.0], h=h).crossed
    assert found([0.0, 1e6, 1e6], h=h).crossed


def test_what_cannot_be_standardised_is_refused() -> None:
    with pytest.raises(ValueError, match=r"spread: 0\.0 must be above 0"):
        cusum([1.0], 1.0, 0.0, K, H, partitions=DAYS[:1])
    with pytest.raises(ValueError, match="1 errors of 2 partitions"):
        cusum([1.0], 1.0, 1.0, K, H, partitions=DAYS[:2])


@given(scores=st.lists(FLOATS, min_size=1, max_size=60), k=st.floats(0, 3), h=st.floats(0.5, 20))
def test_it_is_the_recursion_of_page(scores: list[float], k: float, h: float) -> None:
    path, total = [], 0.0
    for score in scores:
        total = max(0.0, total + min(score - k, 0.6 * h))
        path.append(total)
    np.testing.assert_allclose(page_sums(np.array(scores), k, h), path, atol=1e-9)


@given(
    scores=st.lists(FLOATS, min_size=1, max_size=31),
    centre=st.floats(-100, 100),
    scale=st.sampled_from([0.125, 1.0, 64.0]),
)
def test_the_unit_of_the_error_does_not_matter(scores: list[float], centre: float, scale: float) -> None:
    errors = [centre + scale * score for score in scores]
    same = cusum(errors, centre, scale, K, H, partitions=DAYS[: len(scores)])
    assert same.sum == pytest.approx(page_sums(np.array(scores), K, H)[-1], abs=1e-6)


# --- the spread ---


@pytest.mark.parametrize("partitions", [2, 3, 7, 28])
def test_a_standardised_value_has_the_tail_of_a_normal_one(partitions: int) -> None:
    draw = np.random.default_rng([3, partitions])
    held = draw.normal(40, 8, size=(100_000, partitions))
    spreads = held.std(axis=1, ddof=1) * widening(partitions)
    scores = standardised(draw.normal(40, 8, size=len(held)), held.mean(axis=1), spreads)
    share = (scores > stats.norm.ppf(0.975)).mean()
    assert share == pytest.approx(0.025, abs=4 * math.sqrt(0.025 * 0.975 / len(held)))


def test_the_widening_from_tables() -> None:
    # Student's t at 97.5 %: 12.706, 2.447 and 2.052 for 1, 6 and 27 degrees of freedom; the normal 1.960.
    assert widening(2) == pytest.approx(math.sqrt(3 / 2) * 12.706 / 1.960, rel=1e-3)
    assert widening(7) == pytest.approx(math.sqrt(8 / 7) * 2.447 / 1.960, rel=1e-3)
    assert widening(28) == pytest.approx(math.sqrt(29 / 28) * 2.052 / 1.960, rel=1e-3)
    assert widening(100_000) == pytest.approx(1.0, rel=1e-4)


@given(errors=st.lists(st.floats(0, 1000), min_size=2, max_size=40))
def test_the_spread_is_the_standard_deviation_widened(errors: list[float]) -> None:
    spread = widened_spread(errors)
    if spread is None:
        assert statistics.stdev(errors) == pytest.approx(0, abs=1e-9)
    else:
        assert spread == pytest.approx(statistics.stdev(errors) * widening(len(errors)), rel=1e-6)


@pytest.mark.parametrize("errors", [[], [3.0], [0.0, 0.0, 0.0], [0.1] * 7])
def test_there_is_no_spread_of_one_partition_or_of_equal_ones(errors: list[float]) -> None:
    assert widened_spread(errors) is None


def test_the_spread_of_the_values_of_a_mapping() -> None:
    by_partition = {"2024-01-01": 10.0, "2024-01-02": 14.0}
    assert widened_spread(by_partition.values()) == pytest.approx(math.sqrt(8) * widening(2))


# --- run lengths ---


def run_lengths(scores: NDArray[np.float64], k: float = K, h: float = H) -> NDArray[np.intp]:
    """The partition of the first crossing of each row (1, 2, ...); one more than there are if none."""
    above = page_sums(scores, k, h) > h
    return np.where(above.any(axis=1), above.argmax(axis=1), above.shape[1]) + 1


def estimated_scores(
    draw: np.random.Generator, held: int, size: tuple[int, int], shift: float = 0.0
) -> NDArray[np.float64]:
    """Errors standardised by hold-outs of their own of `held` partitions; shifted by standard deviations."""
    reference = draw.normal(60, 9, size=(size[0], held))
    spreads = np.array([widened_spread(list(row)) for row in reference])[:, None]
    return standardised(draw.normal(60 + 9 * shift, 9, size=size), reference.mean(axis=1)[:, None], spreads)


@pytest.mark.parametrize(("h", "published"), [(4.0, 168), (5.0, 465)])
def test_the_average_run_length_of_known_parameters_is_the_published_one(h: float, published: int) -> None:
    """Montgomery, Introduction to Statistical Quality Control, table of the tabular cusum with k = 0.5."""
    scores = np.random.default_rng(int(h)).standard_normal((800, 4_000))
    up, down = run_lengths(scores, h=h), run_lengths(-scores, h=h)
    both, one = np.minimum(up, down), np.concatenate([up, down])
    assert both.max() <= 4_000  # none is cut short
    print(f"\nh={h:g}: {both.mean():.0f} partitions to a false alarm on either side, {one.mean():.0f} on one")
    # Exponential run lengths: the standard error of their mean is the mean over the root of the rows.
    assert both.mean() == pytest.approx(published, rel=4 / math.sqrt(len(both)))
    assert one.mean() == pytest.approx(2 * published, rel=4 / math.sqrt(len(one)))


def exact_run_length(k: float, h: float, most: float, states: int = 600) -> float:
    """The average run length of the sum of normal values as a Markov chain (Brook and Evans 1972)."""
    width = h / (states - 0.5)  # the first state is the sum 0 and half as wide
    middles = np.arange(states) * width
    edges = np.append((np.arange(states) + 0.5) * width, np.inf)
    steps = np.clip(edges[None, :] - middles[:, None], None, np.inf)
    below = np.where(steps > most, 1.0, stats.norm.cdf(steps + k))  # a step is at most so high
    moves = np.diff(below, axis=1, prepend=0.0)[:, :states]
    return float(np.linalg.solve(np.eye(states) - moves, np.ones(states))[0])


@pytest.mark.parametrize(("h", "published"), [(4.0, 168), (5.0, 465)])
def test_the_cap_on_a_step_changes_the_run_length_little(h: float, published: int) -> None:
    free, capped = (exact_run_length(K, h, most) for most in (np.inf, 0.6 * h))
    assert free == pytest.approx(2 * published, rel=0.01)
    draw = np.random.default_rng([11, int(h)])
    lengths = run_lengths(draw.standard_normal((2_000, 5_000)), h=h)
    print(f"\nh={h:g}: {free:.0f} without a cap, {capped:.0f} with it, {lengths.mean():.0f} simulated")
    assert lengths.mean() == pytest.approx(capped, rel=4 / math.sqrt(len(lengths)))
    assert free <= capped <= 1.1 * free


@pytest.mark.parametrize(("shift", "published"), [(1.0, 10.4), (2.0, 4.01)])
def test_the_delay_of_known_parameters_is_the_published_one(shift: float, published: float) -> None:
    scores = np.random.default_rng(7).normal(shift, 1, size=(20_000, 100))
    delay = run_lengths(scores).mean()
    print(f"\nknown parameters: a shift of {shift:g} sd is seen after {delay:.2f} partitions")
    assert delay == pytest.approx(published, rel=0.02)


@pytest.mark.parametrize("held", [7, 28])
def test_the_average_run_length_of_estimated_parameters_is_over_a_year(held: int) -> None:
    """Of runs cut at 1,500 partitions, so of whole ones all the more."""
    lengths = run_lengths(estimated_scores(np.random.default_rng([1, held]), held, (1_000, 1_500)))
    error = lengths.std() / math.sqrt(len(lengths))
    print(f"\n{held} partitions held out: at least {lengths.mean():.0f} partitions to a false alarm")
    assert lengths.mean() - 4 * error > YEAR


def false_alarms(draw: np.random.Generator, held: int, rows: int, widened: bool = True) -> float:
    """False alarms in a year, each answered by a new champion with a hold-out of its own."""
    alarms, elapsed = 0, np.zeros(rows)
    while len(elapsed):
        scores = estimated_scores(draw, held, (len(elapsed), YEAR))
        elapsed = elapsed + run_lengths(scores if widened else scores * widening(held))
        elapsed = elapsed[elapsed <= YEAR]
        alarms += len(elapsed)
    return alarms / rows


@pytest.mark.parametrize("held", [2, 3, 7, 28, 60])
def test_there_is_less_than_one_false_alarm_a_year(held: int) -> None:
    """An average run length says too little: the lucky hold-outs, which never cross, make up most of it."""
    rate = false_alarms(np.random.default_rng([2, held]), held, 1_000)
    print(f"\n{held} partitions held out: {rate:.2f} false alarms a year")
    assert rate < 0.55


def test_without_widening_there_would_be_many_more() -> None:
    bare = false_alarms(np.random.default_rng(9), 7, 1_000, widened=False)
    kept = false_alarms(np.random.default_rng(9), 7, 1_000)
    print(f"\n7 partitions held out: {bare:.2f} false alarms a year without widening, {kept:.2f} with")
    assert bare > 1.7 * kept


@pytest.mark.parametrize(
    ("held", "shift", "median", "within"),
    [(7, 1.0, 16, (30, 0.65)), (7, 2.0, 6, (10, 0.85)), (28, 1.0, 11, (30, 0.90)), (28, 2.0, 5, (10, 0.97))],
)
def test_how_soon_a_rise_is_seen(held: int, shift: float, median: float, within: tuple[int, float]) -> None:
    partitions, share = within
    delays = run_lengths(estimated_scores(np.random.default_rng([4, held]), held, (2_000, 60), shift))
    seen = (delays <= partitions).mean()
    print(
        f"\n{held} partitions held out, a shift of {shift:g} sd: half are seen within "
        f"{np.median(delays):.0f} partitions, {seen:.0%} within {partitions}"
    )
    assert np.median(delays) <= median
    assert seen > share


@pytest.mark.parametrize(("name", "limit"), [("gamma", 1.0), ("t", 0.75)])
def test_errors_that_are_not_normal_make_little_more_false_alarms(name: str, limit: float) -> None:
    """Daily errors are often skewed (a gamma distribution of shape 4), or have heavy tails (t of 4)."""
    draw, held, rows, alarms = np.random.default_rng(6), 7, 1_000, 0
    kinds = {"gamma": lambda size: draw.gamma(4, size=size), "t": lambda size: draw.standard_t(4, size=size)}
    elapsed = np.zeros(rows)
    while len(elapsed):
        reference = kinds[name]((len(elapsed), held))
        spreads = reference.std(axis=1, ddof=1, keepdims=True) * widening(held)
        errors = kinds[name]((len(elapsed), YEAR))
        elapsed = elapsed + run_lengths(standardised(errors, reference.mean(axis=1, keepdims=True), spreads))
        elapsed = elapsed[elapsed <= YEAR]
        alarms += len(elapsed)
    print(f"\n{name}: {alarms / rows:.2f} false alarms a year")
    assert alarms / rows < limit


def test_the_beginning_of_a_rise_is_found() -> None:
    """Of 500 series that shift by 2 sd after 20 partitions, half of the estimates lie within 2 of it."""
    draw = np.random.default_rng(8)
    keys = [f"{number:03d}" for number in range(60)]
    off = []
    for _ in range(500):
        errors = np.concatenate([draw.normal(0, 1, 20), draw.normal(2, 1, 40)])
        crossing = cusum(errors.tolist(), 0.0, 1.0, K, H, partitions=keys)
        assert crossing.crossed
        assert crossing.since is not None
        off.append(abs(int(crossing.since) - 20))
    print(f"\nthe beginning of a rise is off by {np.median(off):.0f} partitions in the median")
    assert np.median(off) <= 2
