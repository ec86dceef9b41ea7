"""The signals of performance: when they fire, and what they say, to the letter."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.calendar import Grain
from evergreen.monitoring.policy import findings, nights_of
from evergreen.signals.performance import beyond_tolerance
from evergreen.signals.sequential import cusum
from tests.unit.monitoring.kiosk_records import DAYS, KIOSK, record
from tests.unit.signals.kiosk_signals import IRIS, described, metric, said, the


def test_performance_beyond_the_tolerance_fires() -> None:
    rows = [record(0, 12.5), record(1, 12.5), record(2, 12.6)]
    fires, clause = said(described("performance"), rows)
    assert (fires, clause) == (True, "mean absolute error 12.5 over the last 3 days against 10.0 promised")
    assert the(described("performance"), rows).figures == {
        "error": pytest.approx(37.6 / 3),
        "promised": 10.0,
        "tolerance": 0.25,
        "partitions": 3,
        "first": DAYS[0],
        "last": DAYS[2],
    }


def test_performance_at_the_tolerance_does_not() -> None:
    assert said(described("performance"), [record(n, 12.5) for n in range(3)]) == (
        False,
        "mean absolute error 12.5 over the last 3 days against 10.0 promised (tolerance 25%)",
    )


def test_performance_is_weighted_by_rows() -> None:
    # (2 x 100 + 18 x 10) / 20 = 19; unweighted it would be 55
    rows = [record(0, 100.0, labelled=2), record(1, 10.0, labelled=18)]
    assert not the(described("performance", over=2, tolerance=0.95), rows).fires
    assert the(described("performance", over=2, tolerance=0.85), rows).fires


def test_performance_where_higher_is_better() -> None:
    # Half of the 0.1 that the promise lacks to 1.
    spec = metric(described("performance", tolerance=0.5), "accuracy")
    assert said(spec, [record(n, 0.86, promised=0.9) for n in range(3)]) == (
        False,
        "accuracy 0.860 over the last 3 days against 0.900 promised (tolerance 50% of the distance from 1)",
    )
    assert said(spec, [record(n, 0.84, promised=0.9) for n in range(3)]) == (
        True,
        "accuracy 0.840 over the last 3 days against 0.900 promised",
    )


def test_a_fall_of_an_area_from_901_to_837_is_beyond_the_default_tolerance() -> None:
    nights = nights_of(metric(described("performance"), "roc_auc"), [record(0)])
    assert beyond_tolerance(nights.metric, nights.watched, 0.837, 0.901)
    assert beyond_tolerance(nights.metric, nights.watched, 0.8762, 0.901)
    assert not beyond_tolerance(nights.metric, nights.watched, 0.8763, 0.901)


def test_too_few_partitions_with_labels_say_so() -> None:
    rows = [
        record(0, 99.0),
        record(1, None),
        record(2, 99.0),
        record(3, 99.0, promised=None),
        record(4, 99.0, labelled=0),
    ]
    assert said(described("performance"), rows) == (
        False,
        "labels of 2 of the 3 days that performance is judged by",
    )


def test_the_newest_labelled_partitions_count_and_are_named_where_they_are_not_the_last() -> None:
    rows = [record(n, 99.0 if n < 5 else None) for n in range(7)]
    assert said(described("performance"), rows) == (
        True,
        "mean absolute error 99.0 over 3 days from 2024-01-03 to 2024-01-05 against 10.0 promised",
    )
    holes = [record(n, 99.0) for n in (0, 1, 4)]
    assert "over 3 days from 2024-01-01 to 2024-01-05 against" in the(described("performance"), holes).clause
    one = [record(n, 99.0 if n < 5 else None) for n in range(7)]
    assert "over 2024-01-05 against" in the(described("performance", over=1), one).clause
    assert "over the last day against" in the(described("performance", over=1), one[:5]).clause


def test_an_hourly_pipeline_counts_hours() -> None:
    hourly = described("performance", of=KIOSK.model_copy(update={"partition": Grain.HOURLY}))
    rows = [record(n, 99.0, partition=f"2024-01-01T{n:02}") for n in range(3)]
    assert "over the last 3 hours against" in the(hourly, rows).clause


def test_a_snapshot_is_judged_by_itself() -> None:
    spec = described("performance", "cusum", "drift", of=IRIS)
    row = record(0, 0.5, partition="snapshot", promised=0.95, drifted_share=0.6, metric="accuracy")
    found = findings(spec, [row]).values()
    assert [(signal.fires, signal.clause) for signal in found] == [
        (True, "accuracy 0.500 against 0.950 promised"),
        (False, "a snapshot has no CUSUM"),
        (True, "at least 50% of the features drifted on the snapshot (60% on the newest)"),
    ]


@pytest.mark.parametrize(
    ("error", "promised", "said"),
    [
        (71.24, 38.0, "71.2 over the last day against 38.0 promised"),
        (12345.6, 9876.5, "12,346 over the last day against 9,876 promised"),
        (0.00123, 0.001, "0.00123 over the last day against 0.00100 promised"),
        (1.2e-9, 1e-9, "1.2e-09 over the last day against 1e-09 promised"),
        (10.004, 10.001, "10.004 over the last day against 10.001 promised"),  # told apart
        (3.0, 0.0, "3.00 over the last day against 0 promised"),
    ],
)
def test_figures_have_the_digits_that_tell_them_apart(error: float, promised: float, said: str) -> None:
    rows = [record(0, error, promised=promised)]
    assert the(described("performance", over=1, tolerance=0), rows).clause == f"mean absolute error {said}"


def test_the_cusum_is_pages_over_the_labelled_partitions() -> None:
    errors = [10.2, 12.0, None, 11.5, 12.5, 12.0]
    rows = [record(n, error) for n, error in enumerate(errors)]
    known = [row for row in rows if row.error is not None]
    expected = cusum(
        [row.error for row in known], 10.0, 1.0, 0.5, 4.0, partitions=[row.partition for row in known]
    )
    assert said(described("cusum"), rows) == (True, "CUSUM crossed on 2024-01-05")
    assert the(described("cusum"), rows).figures == {
        "sum": expected.sum,
        "limit": 4.0,
        "since": DAYS[1],
        "at": DAYS[4],
        "usual": 10.0,
        "spread": 1.0,
        "partitions": 5,
    }
    assert said(described("cusum"), rows[:4]) == (False, "CUSUM 2.5 of 4")


def test_a_cusum_that_came_down_again_no_longer_fires() -> None:
    rows = [record(n, error) for n, error in enumerate([12.5, 12.5, 12.5, 9.0, 8.0, 7.0])]
    assert the(described("cusum"), rows[:3]).fires
    assert not the(described("cusum"), rows).fires


def test_the_cusum_where_higher_is_better() -> None:
    spec = metric(described("cusum"), "accuracy")
    falls = [record(n, 0.9 - 0.1 * n, promised=0.9, usual=0.9, spread=0.05) for n in range(5)]
    rises = [record(n, 0.5 + 0.1 * n, promised=0.5, usual=0.5, spread=0.05) for n in range(5)]
    assert the(spec, falls).fires
    assert not the(spec, rises).fires


def test_a_cusum_without_labels_or_spread_says_so() -> None:
    assert said(described("cusum"), [record(0, None)]) == (False, "no labels for a CUSUM")
    for spread in (None, 0.0):
        assert said(described("cusum"), [record(n, 99.0, spread=spread) for n in range(9)]) == (
            False,
            "the hold-out has too few partitions for a CUSUM",
        )


@given(
    st.lists(st.one_of(st.none(), st.floats(0.1, 40)), min_size=1, max_size=40),
    st.integers(1, 6),
    st.floats(0, 2),
)
def test_performance_is_the_weighted_mean_of_the_newest_labelled_partitions_in_whatever_order_labels_came(
    errors: list[float | None], over: int, tolerance: float
) -> None:
    rows = [
        record(n, error, rows=n + 5, labelled=0 if error is None else n + 1) for n, error in enumerate(errors)
    ]
    signal = the(described("performance", over=over, tolerance=tolerance), rows)
    newest = [(error, n + 1) for n, error in enumerate(errors) if error is not None][-over:]
    if len(newest) < over:
        assert not signal.fires
        return
    mean = math.fsum(error * weight for error, weight in newest) / sum(weight for _, weight in newest)
    assert signal.figures["error"] == pytest.approx(mean, rel=1e-12)
    if abs(mean - 10 - 10 * tolerance) > 1e-9:
        assert signal.fires is (mean - 10 > 10 * tolerance)
