"""Which labels were known when, for every grain."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.labels.known import known_as_of, mask_unknown, newest_known, newest_trained
from evergreen.monitoring.record import Record
from evergreen.spec import Spec, parse_spec
from evergreen.training_set.digest import data_digest
from tests.unit.labels.conftest import LENDER, day

SPEC = parse_spec(LENDER)


def delayed(delay: int, grain: str = "daily") -> Spec:
    assert SPEC.labels is not None
    return SPEC.model_copy(
        update={"labels": SPEC.labels.model_copy(update={"delay": delay}), "partition": grain}
    )


def record(partition: str, error: float | None = 0.2) -> Record:
    return Record(
        partition=partition,
        version="v",
        rows=10,
        labelled=8,
        metric="accuracy",
        error=error,
        promised=0.1,
        level=3.0,
        promised_level=3.0,
        drifted_share=0.25,
        drift={"amount": {"psi": 0.3}},
        age=3,
        history=9,
        bias=0.5,
        estimated=0.7,
        slices={"income=5.0": {"rows": 4, "error": 0.5, "promised": 0.2}},
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


@given(delay=st.integers(0, 40), as_of=st.integers(0, 60), k=st.integers(0, 60))
def test_training_knows_the_labels_of_k_if_k_and_the_delay_lie_before_its_as_of(delay, as_of, k):
    spec = delayed(delay)
    rows = pd.DataFrame({"partition": [day(k)], "late": [True]})
    known = mask_unknown(spec, rows, day(as_of))["late"].notna().tolist()
    assert known == [k + delay < as_of]
    records = known_as_of(spec, [record(day(k))], day(as_of))
    assert [r.error is not None for r in records] == ([k + delay <= as_of] if k <= as_of else [])


def test_records_lose_what_late_labels_told_and_nothing_else():
    before = [record(day(n)) for n in range(8)]
    early, late = known_as_of(delayed(2), before, day(6))[4:6]
    assert early == before[4]
    assert (late.labelled, late.error, late.bias, late.level, late.slices) == (0, None, None, None, {})
    kept = ("rows", "promised", "estimated", "drift", "drifted_share", "age", "history", "version")
    assert all(getattr(late, name) == getattr(before[5], name) for name in kept)
    assert [r.partition for r in known_as_of(delayed(2), before, day(6))] == [day(n) for n in range(7)]


def test_prompt_labels_are_known_as_they_are():
    spec = SPEC.model_copy(update={"labels": None})
    rows = pd.DataFrame({"partition": [day(3)], "late": [True]})
    assert mask_unknown(spec, rows, day(1)) is rows
    records = [record(day(n)) for n in range(3)]
    assert known_as_of(spec, records, day(2)) == records


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
