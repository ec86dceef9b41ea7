"""Calls that wait for a store, a few at the same time."""

from __future__ import annotations

import threading

import pytest

from evergreen.together import together


def test_results_are_in_the_order_of_the_items_and_the_first_failure_is_raised():
    assert together(lambda number: 10 * number, range(20)) == [10 * number for number in range(20)]
    assert together(str, []) == []
    with pytest.raises(ZeroDivisionError):
        together(lambda number: 1 // number, [1, 0, 2])


def test_a_few_wait_at_the_same_time_and_a_single_one_takes_no_thread():
    both = threading.Barrier(2, timeout=10)
    assert sorted(together(lambda _: both.wait(), range(2), at_once=2)) == [0, 1]
    assert together(lambda _: threading.current_thread(), [1]) == [threading.current_thread()]
