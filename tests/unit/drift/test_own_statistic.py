"""A statistic that is defined in one place works everywhere: from `pipeline.yaml` to records and pages."""

from __future__ import annotations

import math
import runpy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from evergreen.alerts.stage import alert_on
from evergreen.backtest.report import render_backtest
from evergreen.backtest.result import Night, PolicyResult
from evergreen.drift import STATISTICS, register
from evergreen.drift.binning import binning, count_frame
from evergreen.errors import SpecError
from evergreen.lake import Table
from evergreen.monitoring.drift import Sample, drift_of
from evergreen.monitoring.training_request import retraining_request
from evergreen.signals.drift import DRIFT, Drift
from evergreen.spec import parse_spec
from evergreen.storage import Storage
from evergreen.training import stage
from tests.unit.metrics.test_own_metric import day, night, opened, publish, record_of, sales
from tests.unit.signals.test_own_signal import BAKERY, described

OWN = Path(__file__).parent / "own"

BY_HELLINGER = BAKERY.replace(
    "surge: {rise: 30%}", "drift: {hellinger: 25%, psi: 100, unseen: 100%, rows: 12, reference: window}"
)
BY_HELLINGER = BY_HELLINGER.replace("on: [surge, performance]", "on: [drift], when: 1 of 1 partition")


@pytest.fixture(autouse=True)
def _hellinger(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The statistic of `own/sitecustomize.py`, in this process and in those it starts."""
    monkeypatch.setenv("PYTHONPATH", str(OWN))
    runpy.run_path(str(OWN / "sitecustomize.py"))
    yield
    del STATISTICS["hellinger"]


def test_its_value_is_that_of_the_shares_by_hand() -> None:
    before, now = (pd.DataFrame({"c": ["a"] * a + ["b"] * b}) for a, b in ((100, 100), (50, 150)))
    made = {"c": binning(before["c"])}
    sides = [Sample.pooled([count_frame(made, rows)]) for rows in (before, now)]
    found = drift_of(made, *sides, Drift(hellinger=0.2))["c"]
    by_hand = math.sqrt(1 - math.sqrt(0.5 * 0.25) - math.sqrt(0.5 * 0.75))
    assert found.figures["hellinger"] == pytest.approx(by_hand, abs=1e-12)
    assert found.why == ["distribution"], "it is below its own limit"
    assert drift_of(made, *sides, Drift(hellinger=0.1))["c"].why == ["distribution", "hellinger"]
    few = [Sample.pooled([count_frame(made, rows[::40])]) for rows in (before, now)]
    assert drift_of(made, *few, Drift(hellinger=0.1))["c"].why == [], "chance explains it"


def test_a_description_sets_its_limit(tmp_path: Path) -> None:
    spec = parse_spec(described(BY_HELLINGER, tmp_path / "right"))
    assert DRIFT.of(spec.monitoring).limit(STATISTICS["hellinger"]) == 0.25
    assert Drift().limit(STATISTICS["hellinger"]) == 0.5
    wrong = described(BY_HELLINGER.replace("hellinger: 25%", "helinger: 25%"), tmp_path / "wrong")
    with pytest.raises(
        SpecError, match=r"monitoring\.drift\.helinger: no such key, did you mean 'hellinger'"
    ):
        parse_spec(wrong)


def test_it_calls_a_feature_drifted_and_is_told_wherever_drift_is(tmp_path: Path, storage: Storage) -> None:
    pipeline = opened(BY_HELLINGER, tmp_path, storage)
    publish(pipeline, Table.PARTITIONS, {n: sales(n) for n in range(31)})
    assert stage.train(pipeline, day(30), {"sentence": "the first"}).promoted
    assert not night(pipeline, 30).retrain
    crowded = sales(31)
    crowded["people"] = 1.0 + crowded["people"] / 10
    publish(pipeline, Table.PARTITIONS, {31: crowded})
    decision = night(pipeline, 31)
    record = record_of(pipeline, 31)

    found = record.drift["people"]
    assert (found["drifted"], found["why"]) == (True, ["hellinger"]), found
    assert found["psi"] > 0.1, "its limit is out of reach"
    said = f"people Hellinger {found['hellinger']:.2f}"
    assert decision.retrain
    assert decision.reason.startswith("retrain: at least 50% of the features drifted on the last day (100% ")
    assert said in decision.reason
    assert said in retraining_request(pipeline, day(31)).reason["sentence"]
    (alert,) = [alert for alert in alert_on(pipeline, day(31)) if alert.key == "drift"]
    assert f"people (Hellinger {found['hellinger']:.2f})" in alert.text

    nights = tuple(Night(record_of(pipeline, n), decision) for n in (30, 31))
    result = PolicyResult("configured", "mae", 1.0, 1, 1, 0, 1.0, nights=nights)
    page = render_backtest(pipeline.spec, day(30), day(31), [result])
    assert "The Hellinger distance, as measured under configured" in page
    assert "Dashed: above 0.25 a feature may count as drifted." in page
    assert "population stability index, mean of" not in page


def test_each_kind_of_column_has_one_test() -> None:
    with pytest.raises(ValueError, match="statistic 'other': 'ks' tests these columns already"):
        register(replace(STATISTICS["hellinger"], name="other", kinds=("number",), tests=True))
    with pytest.raises(ValueError, match="statistic 'hellinger': the name is taken, choose another"):
        register(STATISTICS["hellinger"])
