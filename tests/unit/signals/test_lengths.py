"""The lengths that follow from the grain."""

from __future__ import annotations

from pathlib import Path

import pytest

from evergreen.calendar import Calendar, Grain, Length
from evergreen.signals.drift import Drift
from evergreen.signals.lengths import DEFAULTS
from evergreen.signals.performance import PERFORMANCE, Performance
from evergreen.spec import Monitoring, Retrain
from evergreen.spec.monitoring import Health
from evergreen.units import Budget
from tests.unit.monitoring.kiosk_records import KIOSK

TIMED = [grain for grain in Grain if grain is not Grain.SNAPSHOT]


def test_every_grain_has_its_lengths():
    assert list(DEFAULTS) == list(Grain)


@pytest.mark.parametrize("grain", TIMED)
def test_the_limits_let_a_policy_train(grain: Grain):
    found, calendar = DEFAULTS[grain], Calendar(grain)
    assert all((found.budget.per, found.half_open, found.over, found.trailing, found.missing))
    assert 1 <= found.budget.times <= calendar.about(found.budget.per)
    assert calendar.about(found.over) <= calendar.about(found.half_open)


def test_the_page_has_the_table():
    page = (Path(__file__).parents[3] / "docs" / "monitoring.md").read_text()
    for key in (
        "performance.over",
        "retrain.budget",
        "retrain.half_open",
        "drift.trailing",
        "health.missing",
    ):
        found = [str(getattr(DEFAULTS[grain], key.partition(".")[2])) for grain in TIMED]
        assert f"| `{key}` | {' | '.join(found)} |" in page


def test_a_daily_pipeline_has_what_it_always_had():
    found = DEFAULTS[Grain.DAILY]
    assert found.budget == Budget(6, Length(30))
    assert (found.over, found.half_open, found.trailing) == (Length(5), Length(28), Length(28, "day"))
    assert (found.missing, found.age) == (Length(1), None)


@pytest.mark.parametrize("grain", Grain)
def test_a_description_has_the_lengths_of_its_grain_and_those_it_writes(grain: Grain):
    plain = KIOSK.model_copy(update={"partition": grain, "monitoring": Monitoring()})
    assert plain.lengths == DEFAULTS[grain]
    key = plain.calendar.key_of_day(plain.start) if plain.start else "snapshot"
    over = DEFAULTS[grain].over
    assert PERFORMANCE.over(plain.monitoring, plain.calendar, key) == plain.calendar.about(over)
    monitoring = Monitoring(
        performance=Performance(over=Length(0)),
        drift=Drift(trailing=Length(3, "month")),
        retrain=Retrain(budget="1 per 3 months", half_open="2 weeks"),
        health=Health(missing=0, age="1 year"),
    )
    written = plain.model_copy(update={"monitoring": monitoring}).lengths
    assert written.budget == Budget(1, Length(3, "month"))
    assert (written.half_open, written.over) == (Length(2, "week"), Length(0))
    assert (written.trailing, written.missing) == (Length(3, "month"), Length(0))
    assert written.age == Length(1, "year")
