"""The finding as it is kept with a version, and told."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.asked.finding import ASKED, Asked, Difference, Together, stored_asked
from evergreen.errors import IntegrityError
from evergreen.pipeline import Pipeline

WORDS = st.text(max_size=9)
VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS
DIFFERENCES = st.builds(
    Difference, WORDS, WORDS, st.integers(), st.integers(), WORDS, VALUES, VALUES, error=WORDS
)
LISTS = st.lists(WORDS).map(tuple)
FOUND = st.builds(
    Asked, st.sampled_from(Together), LISTS, LISTS, st.integers(), st.none() | DIFFERENCES, why=WORDS
)


@given(FOUND)
def test_it_is_read_as_it_was_written(asked):
    assert Asked.of(json.loads(asked.to_json())) == asked
    assert "\n" not in repr(asked.sentence)


@pytest.mark.parametrize(
    ("apart", "whole", "said"),
    [
        (1.5, 4.75, "differs by 3.25"),
        (3, 4.0, "differs by 1"),
        (None, 2.0, "is missing"),
        (2.0, None, "is not missing"),
        ("Ann", "Bob", "is another"),
        (True, False, "is another"),
        ("inf", 2.0, "is another"),
    ],
)
def test_a_difference_is_told_without_values_of_text(apart, whole, said):
    found = Difference("a single row", "2011-05-09", 24, 3, "peak", apart, whole)
    assert found.sentence == f"'peak' of row 3 of 24 {said} when it is built from a single row of 2011-05-09"


def test_the_finding_is_one_sentence():
    failed = Difference("a single row", "2011-05-09", 24, error="KeyError")
    asked = Asked(Together.GROUP, ("store", "day"), ("2011-05-09",), 9, failed)
    assert asked.sentence == (
        "Online, all rows with the same store and day of a partition must be sent together: features cannot "
        "be built from a single row of 2011-05-09 (KeyError)."
    )
    alone = Asked(Together.ROW, (), ("2011-05-09", "2011-05-01"), 48)
    assert alone.sentence == (
        "Single rows may be asked for online: 48 builds from parts of 2 partitions agree."
    )


def test_a_version_of_an_older_release_takes_whole_partitions(make_spec, storage):
    pipeline = Pipeline(make_spec(), storage)
    pipeline.registry.commit("2024-01-01-aa", {"metrics.json": b"{}"})
    assert stored_asked(pipeline, "2024-01-01-aa").together is Together.PARTITION


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"form": 2}', b'{"form": 1, "together": "all"}', b"\xff"]
)
def test_a_finding_that_cannot_be_read_is_damage(make_spec, storage, body):
    pipeline = Pipeline(make_spec(), storage)
    pipeline.registry.commit("2024-01-01-aa", {ASKED: body})
    with pytest.raises(IntegrityError, match=r"asked\.json of version 2024-01-01-aa in .* cannot be read"):
        stored_asked(pipeline, "2024-01-01-aa")


def test_only_what_was_written_is_read():
    content = json.loads(Asked(Together.ROW).to_json())
    with pytest.raises(TypeError):
        Asked.of({**content, "more": 1})
