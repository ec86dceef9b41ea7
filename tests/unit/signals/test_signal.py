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
from evergreen.signals import SIGNALS, Signal, of_time, words_of
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


@EVERY
def test_one_that_warns_can_say_whether_it_could_be_judged(signal: Signal) -> None:
    """The figure that it names is there once everything is known, for its alert to be over."""
    spec = KIOSK.model_copy(
        update={"monitoring": Monitoring.model_validate({"retrain": {"on": [signal.name]}})}
    )
    known = replace(record(0), bias=1.0, estimated=10.0, prediction_drift={"psi": 0.1, "drifted": False})
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
