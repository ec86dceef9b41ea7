"""Which labels were known when, for every grain."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.calendar import Grain, Length
from evergreen.labels.known import due, mask_unknown, newest_known, newest_trained
from evergreen.spec import Spec, parse_spec
from evergreen.training_set.digest import data_digest
from tests.unit.labels.conftest import LENDER, day

SPEC = parse_spec(LENDER)


def delayed(partitions: int | Length, grain: str = "daily") -> Spec:
    assert SPEC.labels is not None
    delay = partitions if isinstance(partitions, Length) else Length(partitions)
    return SPEC.model_copy(
        update={"labels": SPEC.labels.model_copy(update={"delay": delay}), "partition": Grain(grain)}
    )


@pytest.mark.parametrize(
    ("grain", "delay", "night", "known"),
    [
        ("daily", 5, "2024-03-03", "2024-02-27"),
        ("daily", 0, "2024-03-03", "2024-03-03"),
        ("hourly", 30, "2024-03-01T02", "2024-02-28T20"),
        ("weekly", 2, "2024-03-04", "2024-02-19"),
        ("monthly", 14, "2024-03", "2023-01"),
    ],
)
def test_a_night_brings_the_labels_of_the_partition_its_delay_before(grain, delay, night, known):
    spec = delayed(delay, grain)
    assert newest_known(spec, night) == known
    assert newest_trained(spec, spec.calendar.shift(night, 1)) == known
    assert due(spec, night) == [known]


@pytest.mark.parametrize(
    ("grain", "delay", "night", "brought"),
    [
        ("daily", "2 weeks", "2024-03-03", ["2024-02-18"]),
        ("daily", "1 month", "2024-02-29", ["2024-01-29"]),
        ("daily", "1 month", "2024-03-01", ["2024-01-30", "2024-01-31", "2024-02-01"]),
        ("daily", "1 month", "2024-03-31", []),  # those of 29 February came with 29 March
        ("monthly", "30 days", "2024-02", ["2024-01"]),
        ("monthly", "30 days", "2024-03", []),
        ("monthly", "30 days", "2024-04", ["2024-02", "2024-03"]),
        ("weekly", "10 days", "2024-01-29", ["2024-01-15"]),
    ],
)
def test_a_delay_of_no_whole_number_of_partitions_brings_several_or_none(grain, delay, night, brought):
    assert due(delayed(Length.read(delay), grain), night) == brought


@pytest.mark.parametrize("grain", ["hourly", "daily", "weekly", "monthly"])
@pytest.mark.parametrize("delay", ["0 days", "3 partitions", "36 hours", "10 days", "1 month", "45 days"])
def test_each_label_comes_with_one_night_when_the_delay_is_over(grain, delay):
    spec = delayed(Length.read(delay), grain)
    first, last = (spec.calendar.key_of_day(day) for day in (date(2023, 11, 1), date(2024, 6, 1)))
    nights = list(spec.calendar.between(first, last))
    brought = {key: night for night in nights for key in due(spec, night)}
    keys = [key for night in nights for key in due(spec, night)]
    assert len(keys) == len(brought)
    assert keys == list(spec.calendar.between(keys[0], keys[-1]))
    for key in keys:
        if key >= first:
            assert brought[key] == spec.calendar.ahead(key, Length.read(delay))


@given(delay=st.integers(0, 40), as_of=st.integers(0, 60), k=st.integers(0, 60))
def test_training_knows_the_labels_of_k_if_k_and_the_delay_lie_before_its_as_of(delay, as_of, k):
    spec = delayed(delay)
    rows = pd.DataFrame({"partition": [day(k)], "late": [True]})
    known = mask_unknown(spec, rows, day(as_of))["late"].notna().tolist()
    assert known == [k + delay < as_of]


def test_prompt_labels_are_known_as_they_are():
    spec = SPEC.model_copy(update={"labels": None})
    rows = pd.DataFrame({"partition": [day(3)], "late": [True]})
    assert mask_unknown(spec, rows, day(1)) is rows


@pytest.mark.parametrize(
    ("there", "not_yet"),
    [
        ([True, False, True], [True, None, None]),
        ([1, 0, 1], [1.0, float("nan"), float("nan")]),
        (["a", "b", "c"], ["a", None, None]),
        (["a", "b", "c"], ["a", float("nan"), None]),
    ],
)
def test_a_masked_label_is_missing_like_one_that_never_came(there, not_yet):
    spec = delayed(0)
    keys = [day(0), day(5), day(6)]
    with_later = mask_unknown(spec, pd.DataFrame({"partition": keys, "late": there}), day(5))
    without = mask_unknown(spec, pd.DataFrame({"partition": keys, "late": not_yet}), day(5))
    pd.testing.assert_frame_equal(with_later, without)
    assert data_digest(with_later) == data_digest(without)
    alone = mask_unknown(spec, pd.DataFrame({"partition": keys[:1], "late": there[:1]}), day(5))
    assert alone["late"].dtype == without["late"].dtype
