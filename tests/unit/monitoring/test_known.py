"""Monitoring records as they were on an earlier night."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from evergreen.monitoring.known import known_as_of
from evergreen.signals.record import Record
from tests.unit.labels.conftest import day
from tests.unit.labels.test_known import SPEC, delayed


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
        coverage=[{"level": 0.9, "rows": 8, "covered": 7, "width": 2.0}],
        slices={"income=5.0": {"rows": 4, "error": 0.5, "promised": 0.2}},
    )


@given(delay=st.integers(0, 40), as_of=st.integers(0, 60), k=st.integers(0, 60))
def test_an_error_is_known_once_its_labels_are(delay, as_of, k):
    records = known_as_of(delayed(delay), [record(day(k))], day(as_of))
    assert [r.error is not None for r in records] == ([k + delay <= as_of] if k <= as_of else [])


def test_records_lose_what_late_labels_told_and_nothing_else():
    before = [record(day(n)) for n in range(8)]
    early, late = known_as_of(delayed(2), before, day(6))[4:6]
    assert early == before[4]
    assert (late.labelled, late.error, late.bias, late.level, late.slices) == (0, None, None, None, {})
    assert late.coverage == []
    kept = ("rows", "promised", "estimated", "drift", "drifted_share", "age", "history", "version")
    assert all(getattr(late, name) == getattr(before[5], name) for name in kept)
    assert [r.partition for r in known_as_of(delayed(2), before, day(6))] == [day(n) for n in range(7)]


def test_prompt_labels_are_known_as_they_are():
    spec = SPEC.model_copy(update={"labels": None})
    records = [record(day(n)) for n in range(3)]
    assert known_as_of(spec, records, day(2)) == records
