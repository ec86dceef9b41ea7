"""Each statistic by itself: the example in its description, its words, and records of older code."""

from __future__ import annotations

import doctest
import inspect
import sys

import pytest

from evergreen.drift import STATISTICS, Statistic, column_statistics, limited, most_drifted, told

EVERY = pytest.mark.parametrize("statistic", STATISTICS.values(), ids=list(STATISTICS))


@EVERY
def test_its_example_is_true_and_its_source_is_named(statistic: Statistic) -> None:
    module = sys.modules[type(statistic).__module__]
    found = doctest.DocTestFinder(recurse=False).find(type(statistic), globs=vars(module))
    assert sum(len(test.examples) for test in found) > 0
    for test in found:
        assert doctest.DocTestRunner().run(test).failed == 0
    assert "Example:" in str(inspect.getdoc(type(statistic)))
    assert statistic.source
    assert statistic.words


@EVERY
def test_it_has_words_for_a_record_that_does_not_hold_it(statistic: Statistic) -> None:
    assert statistic.told({}).startswith(statistic.short)
    assert statistic.effect_in({}) is None


def test_a_column_is_told_by_what_drifted_of_it_first() -> None:
    found = {"psi": 0.31, "missing": 0.08, "missing_before": 0.02, "unseen": 0.021}
    assert told(found) == told({**found, "why": ["distribution", "missing"]}) == "PSI 0.31"
    assert told({**found, "why": ["missing", "unseen"]}) == "missing 8% against 2%"
    assert told({**found, "why": ["unseen"]}) == "never seen 2.1%"
    assert told({**found, "why": ["of older code"]}) == "PSI 0.31"


def test_the_columns_that_drifted_stand_in_order() -> None:
    drift = {
        "wind": {"psi": 0.2, "drifted": True, "why": ["distribution"]},
        "hour": {"psi": 9.0, "drifted": False, "why": []},
        "rain": {"psi": 0.7, "drifted": True, "why": ["distribution"]},
        "sky": {"drifted": True, "why": ["unseen"], "unseen": 0.02},
    }
    assert most_drifted(drift) == {"rain": "PSI 0.70", "wind": "PSI 0.20", "sky": "never seen 2%"}


def test_each_aspect_and_each_test() -> None:
    assert [one.why for one in limited()] == ["distribution", "missing", "unseen"]
    assert {one.name: one.kinds for one in column_statistics() if one.tests} == {
        "ks": ("number",),
        "chi2": ("category",),
    }
