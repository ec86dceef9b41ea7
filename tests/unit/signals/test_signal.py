"""What each signal says of itself: its example, its knobs, and for which pipelines it counts."""

from __future__ import annotations

import inspect
import subprocess
import sys
import textwrap
from dataclasses import replace

import pytest
import yaml

from evergreen.monitoring.policy import findings
from evergreen.signals import SIGNALS, Signal, Terms, of_time, words_of
from evergreen.signals.drift import DRIFT
from evergreen.signals.performance import PERFORMANCE, Performance
from evergreen.spec import Monitoring, Task
from tests.unit.monitoring.kiosk_records import KIOSK, record
from tests.unit.test_layering import HEAVY

EVERY = pytest.mark.parametrize("signal", SIGNALS.values(), ids=list(SIGNALS))


@EVERY
def test_the_example_in_its_description_is_one(signal: Signal) -> None:
    example = str(inspect.getdoc(type(signal))).partition("Example:\n")[2]
    described = yaml.load(textwrap.dedent(example), yaml.BaseLoader)["monitoring"]
    assert described["retrain"]["on"] == [signal.name]
    monitoring = Monitoring.model_validate(described)
    spec = KIOSK.model_copy(update={"monitoring": monitoring, "task": signal.tasks[0]})
    finding = findings(spec, [record(0)])[signal.name]
    assert finding.clause
    assert set(finding.to_dict()) >= {"fires", "clause"}


SAID = {
    "performance": (
        {"performance": {"over": 9, "tolerance": "31%"}},
        ["mean absolute error", "9 days", "31%"],
    ),
    "cusum": ({"performance": {"cusum": {"h": 7, "k": 0.75}}}, ["mean absolute error", "above 7", "0.75"]),
    "bias": ({"bias": {"h": "90%", "k": "3%", "unseen": "17%"}}, ["90%", "3%", "17%", "68 days"]),
    "coverage": ({"coverage": {"tolerance": "31%", "run_length": "3 years"}}, ["31%", "3 years"]),
    "estimate": (
        {"performance": {"tolerance": "31%"}, "retrain": {"when": "3 of 5 partitions"}},
        ["31%", "on 3 of the last 5 days"],
    ),
    "drift": (
        {"drift": {"share": "40%", "psi": 0.3, "joint": 0.8}, "retrain": {"when": "2 of 2 partitions"}},
        ["40%", "psi above 0.3", "missing above 0.03", "joint above 0.8", "on each of the last 2 days"],
    ),
    "prediction_drift": (
        {"drift": {"psi": 0.3, "joint": 0.8}, "retrain": {"when": "1 of 1 partition"}},
        ["psi above 0.3", "on the last day"],
    ),
    "renewal": ({"renewal": {"unseen": "30%", "gain": "2%"}}, ["30%", "120 days", "2%"]),
    "skew": (
        {"skew": {"inputs": "3%", "predictions": "2%"}, "retrain": {"when": "1 of 1 partition"}},
        ["3%", "2%", "on the last day"],
    ),
    "staleness": ({"staleness": {"unseen": "30%"}}, ["30%", "120 days"]),
}
"""What is written, and what is said of it; a training window has 400 days."""


def terms_of(**monitoring: object) -> Terms:
    watched = Monitoring.model_validate(monitoring)
    return Terms(watched, KIOSK.calendar, KIOSK.metric, watched.retrain.when, window=400)


@EVERY
def test_it_says_when_it_asks_with_the_limits_of_the_description(signal: Signal) -> None:
    written, parts = SAID[signal.name]
    said = signal.asks_when(terms_of(**written))
    assert [part for part in parts if part not in said] == [], said
    assert said != signal.asks_when(terms_of())


def test_the_predictions_are_no_joint_drift() -> None:
    said = SIGNALS["prediction_drift"].asks_when(terms_of(drift={"joint": 0.8}))
    assert "joint" not in said


def test_one_that_says_nothing_of_its_own_says_its_settings() -> None:
    staleness = SIGNALS["staleness"]
    said = Signal.asks_when(staleness, terms_of(staleness={"unseen": "30%"}))
    assert said == f"{staleness.fires_when} (staleness.unseen: 0.3)"
    assert Signal.asks_when(SIGNALS["cusum"], terms_of()) == SIGNALS["cusum"].fires_when


@EVERY
def test_one_that_warns_can_say_whether_it_could_be_judged(signal: Signal) -> None:
    """The figure that it names is there once everything is known, for its alert to be over."""
    spec = KIOSK.model_copy(
        update={"monitoring": Monitoring.model_validate({"retrain": {"on": [signal.name]}})}
    )
    coverage = [{"level": 0.9, "rows": 4, "covered": 4, "width": 1.0, "correlation": 0.0}]
    known = replace(
        record(0),
        bias=1.0,
        estimated=10.0,
        prediction_drift={"psi": 0.1, "drifted": False},
        coverage=coverage,
        skew={"rows": 4, "unpublished": 0, "inputs": 0, "equal": 4, "columns": {}, "predictions": {}},
    )
    records = [replace(known, partition=record(n).partition) for n in range(10)]
    assert findings(spec, records)[signal.name].figures[signal.figure] is not None


@pytest.mark.parametrize(
    ("task", "late", "timed", "names"),
    [
        (Task.REGRESSION, False, True, ("cusum", "renewal")),
        (Task.REGRESSION, True, True, ("cusum", "drift", "prediction_drift", "renewal")),
        (Task.CLASSIFICATION, False, True, ("cusum", "renewal")),
        (Task.CLASSIFICATION, True, True, ("cusum", "estimate", "drift", "prediction_drift", "renewal")),
        (Task.CLASSIFICATION, False, False, ("performance",)),
        (Task.CLUSTERING, False, True, ("drift", "prediction_drift")),
    ],
)
def test_which_count_where_none_is_named(task: Task, late: bool, timed: bool, names: tuple[str, ...]) -> None:
    assert tuple(one.name for one in SIGNALS.values() if one.by_default(task, late, timed)) == names
    assert all(task in SIGNALS[name].tasks for name in names)


def test_knobs_that_are_left_out_are_defaults_and_count_as_not_set() -> None:
    monitoring = Monitoring.model_validate({"performance": {"over": 3}, "drift": {"psi": 0.2}})
    assert monitoring.model_fields_set == {"performance", "drift"}
    assert PERFORMANCE.of(monitoring) == Performance(over=3)
    assert DRIFT.of(monitoring).model_fields_set == {"psi"}
    with_knobs = {one.name for one in SIGNALS.values() if one.knobs}
    assert set(monitoring.model_dump()) == with_knobs | {"health", "retrain", "metrics"}


def test_what_bears_on_a_measurement() -> None:
    def measured(**monitoring: object) -> dict[str, dict]:
        watched = Monitoring.model_validate(monitoring)
        return {one.name: one.measured(watched) for one in SIGNALS.values()}

    said = {"performance": {"over": 9, "tolerance": 9, "cusum": {"h": 9}}, "drift": {"share": 0.9}}
    assert measured(**said, bias={"h": 9}, staleness={"unseen": 0.9}) == measured()
    for changed in ({"performance": {"slices": ["sky"]}}, {"drift": {"psi": 9}}, {"drift": {"joint": 0.9}}):
        assert measured(**changed) != measured()


def test_words() -> None:
    assert words_of("cusum") == "CUSUM of the error"
    assert words_of("of_older_code") == "of_older_code"
    assert of_time() == {"renewal", "staleness"}


def test_what_a_description_needs_of_signals_and_statistics_is_light() -> None:
    program = f"""
import sys
import evergreen.signals, evergreen.drift, evergreen.spec
print(*sorted({HEAVY!r} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []
