from __future__ import annotations

import math

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.candidates.search import Choices, Interval, every_setting, parse_search, space_size
from evergreen.errors import SpecError


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ([0, 1], Interval(0, 1)),
        ([0.01, 100, "log"], Interval(0.01, 100, log=True)),
        ([2, 8, "int"], Interval(2, 8, integer=True)),
        ([1, 64, "log", "int"], Interval(1, 64, log=True, integer=True)),
        ({"choices": ["a", None, [1, 2]]}, Choices(("a", None, [1, 2]))),
    ],
)
def test_what_can_be_written(written, meant):
    assert parse_search("here", {"p": written}) == {"p": meant}


@pytest.mark.parametrize(
    "written",
    [
        *([], [1], [1, 2, 3], [1, 2, "linear"], ["a", "b"], [True, False], [2, 1], [1, 1]),
        *([0, 1, "log"], [-1, 1, "log"], [1.5, 3, "int"], [0, math.inf], {"choices": []}),
    ],
)
def test_what_cannot_is_refused_with_its_place(written):
    with pytest.raises(SpecError, match=r"^here\.p: "):
        parse_search("here", {"p": written})


def test_the_size_of_a_space():
    dimensions = parse_search("here", {"a": [2, 8, "int"], "b": {"choices": ["x", "y"]}})
    assert space_size(dimensions) == 14
    settings = list(every_setting(dimensions))
    assert len(settings) == 14
    assert settings[0] == {"a": 2, "b": "x"}
    assert settings[-1] == {"a": 8, "b": "y"}
    assert space_size(parse_search("here", {"c": [0, 1]})) == math.inf


@given(low=st.integers(1, 50), width=st.integers(1, 50), log=st.booleans(), seed=st.integers(0, 99))
def test_suggestions_lie_within_their_bounds(low, width, log, seed):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()
    number = Interval(low, low + width, log).suggest(trial, "number")
    whole = Interval(low, low + width, log, integer=True).suggest(trial, "whole")
    assert low <= number <= low + width
    assert low <= whole <= low + width
    assert isinstance(whole, int)
    assert Choices(([1], None)).suggest(trial, "choice") in ([1], None)
