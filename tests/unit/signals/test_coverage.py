"""The signal `coverage`: its sum by hand, what it says, and what becomes of it in a decision."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from evergreen.alerts.conditions import conditions, judged
from evergreen.calendar import Grain
from evergreen.errors import SpecError
from evergreen.monitoring.policy import decide, findings
from evergreen.signals import Finding
from evergreen.signals.coverage import Coverage
from evergreen.signals.record import Record
from evergreen.signals.run_length import limit
from evergreen.spec import Monitoring, Retrain, Spec, Task
from evergreen.spec.intervals import Intervals
from tests.unit.monitoring.kiosk_records import DAYS, KIOSK, record
from tests.unit.sales import DAILY, make_spec

__all__ = ["make_spec"]

HOURLY = KIOSK.model_copy(update={"partition": Grain.HOURLY})


def described(*on: str, of: Spec = KIOSK, **settings: Any) -> Spec:
    monitoring = Monitoring(coverage=Coverage(**settings), retrain=Retrain(on=on))
    return of.model_copy(update={"monitoring": monitoring, "intervals": Intervals(levels=(0.9,))})


def night(
    number: int, missed: int, rows: int = 20, correlation: float | None = 0.0, **changes: Any
) -> Record:
    coverage = [
        {"level": 0.9, "rows": rows, "covered": rows - missed, "width": 1.0, "correlation": correlation}
    ]
    return record(number, coverage=coverage, **changes)


def found(records: list[Record], spec: Spec | None = None) -> Finding:
    return findings(spec or described("coverage"), records)["coverage"]


def test_the_sum_by_hand() -> None:
    # Of 20 rows 2.5 may be missed: a standard deviation is 0.125 * 0.875 / 20, so 6 missed are 2.37 above.
    spread = math.sqrt(0.125 * 0.875 / 20)
    finding = found([night(0, 2), night(1, 6), night(2, 6), night(3, 20)])
    assert not finding.fires
    assert finding.figures == {
        "level": 0.9,
        "covered": pytest.approx(46 / 80),
        "rows": 80,
        "sum": pytest.approx(2 * ((0.3 - 0.125) / spread - 0.5) + 2.5),  # the last counts as 3
        "over": False,
        "limit": pytest.approx(limit(5 * 365.2425), rel=1e-3),
        "since": DAYS[1],
        "at": None,
        "partitions": 4,
    }
    assert finding.clause == "90% intervals hold 57.5% of 80 rows (CUSUM 6.2 of 13.9)"


def test_rows_that_depend_on_each_other_count_for_less() -> None:
    alone = found([night(0, 6)]).figures["sum"]
    spread = math.sqrt(0.125 * 0.875 / 20 * (1 + 19 * 0.1))
    assert found([night(0, 6, correlation=0.1)]).figures["sum"] == pytest.approx((0.3 - 0.125) / spread - 0.5)
    assert alone > 2 * found([night(0, 6, correlation=0.1)]).figures["sum"]


def test_it_fires_and_says_since_when() -> None:
    nights = [night(n, 1 + n % 3) for n in range(10)] + [night(n, 8) for n in range(10, 16)]
    assert not found(nights[:-1]).fires
    finding = found(nights)
    assert finding.fires
    assert (finding.figures["since"], finding.figures["at"]) == (DAYS[10], DAYS[15])
    assert (
        finding.clause == f"90% intervals hold 60% of 120 rows since {DAYS[10]} (CUSUM crossed on {DAYS[15]})"
    )
    short = described("coverage", run_length="10 partitions")
    assert found(nights[:12], short).figures["at"] == DAYS[11]


def test_intervals_that_hold_more_than_promised_are_said_and_start_nothing() -> None:
    nights = [night(n, 0, rows=200) for n in range(12)]
    finding = found(nights)
    assert (finding.fires, finding.figures["over"]) == (False, True)
    assert f"100% of 2,400 rows since {DAYS[0]}, more than promised (CUSUM crossed on" in finding.clause
    decision = decide(described("cusum"), nights, [])
    assert not decision.retrain
    assert finding.clause in decision.reason
    assert conditions(KIOSK, nights[-1], decision) == []


def test_of_a_classification_it_is_of_sets_and_says_nothing_of_too_many() -> None:
    spec = KIOSK.model_copy(update={"task": Task.CLASSIFICATION, "sets": (0.9,)})
    spec = spec.model_copy(update={"training": spec.training.model_copy(update={"metric": "accuracy"})})
    spec = spec.model_copy(update={"monitoring": described("coverage").monitoring})
    finding = found([night(n, 0, rows=200) for n in range(12)], spec)
    assert (finding.clause, finding.figures["over"]) == (
        "90% sets hold 100% of 2,400 rows (CUSUM 0.0 of 13.9)",
        False,
    )
    assert found([night(n, 9) for n in range(12)], spec).fires


def test_what_cannot_be_judged() -> None:
    assert found([record(0)]).clause == "no labels of rows with intervals"
    assert "too few partitions" in found([night(0, 9, correlation=None)]).clause
    for finding in (found([record(0)]), found([night(0, 9, correlation=None)])):
        assert (finding.fires, finding.figures) == (False, {"sum": None})


def test_the_hours_of_a_day_are_one_partition() -> None:
    spec = described("coverage", of=HOURLY)
    keys = [*spec.calendar.between("2024-01-01T00", "2024-01-03T05")]
    hours = [replace(night(0, 1, rows=10), partition=key) for key in keys]
    finding = found(hours, spec)
    assert (finding.figures["partitions"], finding.figures["rows"]) == (2, 480)
    day = found([night(0, 24, rows=240), night(1, 24, rows=240)])
    assert finding.figures["sum"] == day.figures["sum"]
    assert finding.figures["limit"] == pytest.approx(day.figures["limit"], rel=1e-3)
    assert found(hours[:3], spec).clause == "no whole day of rows with intervals yet"


def test_an_alert_comes_without_the_signal_and_a_training_only_with_it() -> None:
    nights = [night(n, 10) for n in range(12)]
    for on, trains in (((), False), (("coverage",), True)):
        spec = described(*on)
        decision = decide(spec, nights, [])
        assert decision.retrain is trains
        assert decision.evidence["coverage"]["fires"]
        assert "90% intervals hold 50% of 240 rows" in decision.reason
        (alert,) = conditions(spec, nights[-1], decision)
        assert (alert.key, alert.title) == ("coverage", "the truth is missed more often than promised")
        assert decision.evidence["coverage"]["clause"] in alert.text
    assert decision.evidence["change"]["signal"] == "coverage"
    unknown = decide(described(), [record(0)], [])
    assert "coverage" not in judged(KIOSK, record(0), unknown)


def test_it_is_refused_where_there_are_no_intervals(make_spec) -> None:
    asked = DAILY + "monitoring: {retrain: {on: [coverage]}}\n"
    assert make_spec(asked + "intervals: 90%\n").signals == ("coverage",)
    with pytest.raises(SpecError, match=r"monitoring\.retrain\.on: 'coverage' needs 'intervals': write some"):
        make_spec(asked)
