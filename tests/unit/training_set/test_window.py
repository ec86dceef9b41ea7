"""A window since a change: where it begins, what a training needs at least, and that a request repeats it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.calendar import Grain, Length
from evergreen.spec import Labels, Spec
from evergreen.training_set.assemble import TrainingSet, assemble
from evergreen.training_set.window import Change, change_in, fewest, read_start, window_start
from evergreen.units import SinceChange
from tests.unit.monitoring.kiosk_records import DAYS, KIOSK

SINCE = {"window: 60 days": "window: since change, at most 60 days"}
AS_OF, AT_MOST = "2024-02-09", SinceChange(40, "day")


def of(window: Length = AT_MOST, delay: int = 0, of: Spec = KIOSK, **training: Any) -> Spec:
    labels = Labels(source=KIOSK.sources["sales"], delay=delay) if delay else None
    changed = of.training.model_copy(update={"window": window, **training})
    return of.model_copy(update={"training": changed, "labels": labels})


def at(number: int) -> Change:
    return Change(DAYS[number], "cusum", DAYS[number + 4])


def reason(change: Change | None) -> dict[str, Any]:
    return {"kind": "cusum", "evidence": {"change": change and change.to_dict()}}


@pytest.mark.parametrize(
    ("window", "since", "begins"),
    [
        (Length(40, "day"), 80, 60),  # a window that is a length knows no break
        (SinceChange(40, "day"), None, 60),
        (SinceChange(40, "day"), 80, 80),
        (SinceChange(40, "day"), 90, 90),
        (SinceChange(40, "day"), 97, 90),  # at least `minimum: 10 partitions`
        (SinceChange(40, "day"), 60, 60),
        (SinceChange(40, "day"), 20, 60),  # never longer than it may be
        (SinceChange(8, "day"), 80, 92),
    ],
)
def test_where_it_begins(window: Length, since: int | None, begins: int) -> None:
    change = at(since) if since is not None else None
    assert window_start(of(window), DAYS[100], change) == DAYS[begins]
    # the look-back of 3 days comes before it
    assert read_start(of(window), DAYS[100], change) == DAYS[begins - 3]


@pytest.mark.parametrize(
    ("training", "delay", "least"),
    [
        ({}, 0, 10),  # `minimum`
        ({"minimum": Length(1)}, 0, 7),  # 3 held out, 4 for 3 folds
        ({"minimum": Length(1), "holdout": Length(14, "day")}, 0, 28),  # at most half held out
        ({"minimum": Length(1), "holdout": 0.2}, 0, 7),  # 2 held out, 5 left
        ({"minimum": Length(1), "holdout": 0.2}, 6, 13),  # six have no labels yet
    ],
)
def test_how_much_is_needed_at_least(training: dict[str, Any], delay: int, least: int) -> None:
    assert fewest(of(delay=delay, **training), DAYS[100]) == least


def test_a_tenth_of_the_longest_window_is_needed() -> None:
    assert fewest(of(SinceChange(1, "year"), minimum=Length(1)), DAYS[100]) == 37


def test_months_count_in_months() -> None:
    monthly = KIOSK.model_copy(update={"partition": Grain.MONTHLY})
    spec = of(SinceChange(24, "month"), of=monthly, minimum=Length(1), holdout=Length(2, "month"))
    change = Change("2025-02", "cusum", "2025-03")
    found = [window_start(spec, as_of, change) for as_of in ("2025-05", "2025-09", "2027-06")]
    assert found == ["2024-11", "2025-02", "2025-06"]


@pytest.mark.parametrize(
    "written",
    [
        {},
        {"evidence": None},
        {"evidence": "cusum"},
        {"evidence": {"change": None}},
        {"evidence": {"change": "2024-01-01"}},
        {"evidence": {"change": {"since": "2024-01-01"}}},
        {"evidence": {"change": {"since": 1, "signal": "cusum", "partition": "2024-01-05"}}},
    ],
)
def test_what_a_person_writes_as_a_reason_is_no_break(written: dict[str, Any]) -> None:
    assert change_in(written) is None


def test_a_break_is_read_as_it_was_written() -> None:
    assert change_in(reason(at(7))) == at(7)


def made(spec: Spec, rows: pd.DataFrame, change: Change | None) -> TrainingSet:
    return assemble(spec, rows, AS_OF, {"partitions": 1}, reason(change))


def test_the_rows_before_the_break_are_left_out(
    make_spec: Callable[..., Spec], daily_rows: pd.DataFrame
) -> None:
    spec, change = make_spec(changes=SINCE), Change("2024-01-20", "cusum", "2024-01-27")
    whole, since = made(spec, daily_rows, None), made(spec, daily_rows, change)
    assert whole.rows["partition"].min() == "2024-01-01"
    assert since.rows["partition"].min() == "2024-01-20"
    assert since.lineage["window"] == {
        "first": "2024-01-20",
        "last": "2024-02-08",
        "partitions": 20,
        "rows": 120,
        "change": change.to_dict(),
    }
    assert "change" not in whole.lineage["window"]
    # the hold-out is the same, so models of both windows are judged by the same rows
    assert since.rows["at"][since.holdout].tolist() == whole.rows["at"][whole.holdout].tolist()
    # the same request gives the same version, another window another one
    assert made(spec, daily_rows, change).version == since.version != whole.version


@given(since=st.integers(0, 45))
def test_whatever_the_break_there_is_enough_to_train_on(since: int) -> None:
    days = DAYS[:40]
    start = window_start(of(SinceChange(60, "day"), minimum=Length(1)), days[39], at(since))
    held, rest = 3, days.index(start) if start in days else 0
    assert 2 * held <= 39 - rest
    assert 39 - rest - held > KIOSK.training.tuning.folds
