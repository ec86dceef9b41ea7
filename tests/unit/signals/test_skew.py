"""The signal of skew: when it fires, and what it says, to the letter."""

from __future__ import annotations

from evergreen.signals.record import Record
from evergreen.signals.skew import Skew
from evergreen.units import Times
from tests.unit.monitoring.kiosk_records import record
from tests.unit.signals.kiosk_signals import described, said, the


def skewed(number: int, **changes: object) -> Record:
    found = {"rows": 50, "unpublished": 10, "inputs": 0, "equal": 40, "columns": {}, "predictions": {}}
    return record(number, skew=found | changes)


def test_skew_of_inputs_and_of_predictions() -> None:
    spec, when = described("skew", when=Times(1, 1)), "requests differ from what is published on the last day"
    assert the(spec, [record(0)]).to_dict() == {
        "fires": False,
        "clause": "no logged requests to compare",
        "rows": None,
    }
    fires, clause = said(spec, [skewed(0)])
    assert (fires, clause) == (
        False,
        "requests differ from what is published on none of the last day (0 of 40 logged rows have other "
        "inputs than published, 0 of 40 with equal ones other predictions)",
    )
    columns = {name: {"rows": rows} for name, rows in (("a", 1), ("b", 3), ("c", 3), ("d", 2))}
    fires, clause = said(spec, [skewed(0, inputs=4, equal=36, columns=columns)])
    assert (fires, clause) == (
        True,
        f"{when} (4 of 40 logged rows have other inputs than published (most of all b 3, c 3, d 2), "
        "0 of 36 with equal ones other predictions)",
    )
    one = {"unexplained": {"rows": 1}, "inputs": {"rows": 7}, "look_back": {"rows": 7}}
    assert said(spec, [skewed(0, predictions=one)])[0]
    explained = {name: found for name, found in one.items() if name != "unexplained"}
    assert not said(spec, [skewed(0, predictions=explained)])[0]
    assert the(spec, [skewed(0, predictions=one)]).figures["predictions"] == 1 / 40


def test_skew_within_its_limits_and_where_little_is_known() -> None:
    spec = described("skew", when=Times(1, 1))
    limits = spec.monitoring.model_copy(update={"skew": Skew(inputs=0.1, predictions=0.025)})
    loose = spec.model_copy(update={"monitoring": limits})
    one = {"unexplained": {"rows": 1}}
    assert not said(loose, [skewed(0, inputs=4, predictions=one)])[0]
    assert said(loose, [skewed(0, inputs=5)])[0]
    assert said(loose, [skewed(0, predictions={"unexplained": {"rows": 2}})])[0]
    for nothing in ({"problem": "the log is damaged"}, {"rows": 3, "unpublished": 3}):
        assert the(spec, [record(0, skew=nothing)]).figures == {"rows": None}
    unusable = the(spec, [skewed(0, equal=0)])
    assert (unusable.fires, unusable.figures["predictions"]) == (False, None)


def test_skew_on_several_nights() -> None:
    fires, clause = said(described("skew"), [skewed(0), skewed(1, inputs=4), skewed(2, inputs=4)])
    assert fires
    assert clause.startswith("requests differ from what is published on 2 of the last 3 days (4 of 40")
