"""A signal that is defined in one place works everywhere: from `pipeline.yaml` to the backtest."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

from evergreen.alerts.stage import alert_on
from evergreen.backtest.policies import parse_policy, read_variants
from evergreen.backtest.result import Event
from evergreen.backtest.tune import turns
from evergreen.card.decision import signal_rows
from evergreen.errors import SpecError
from evergreen.lake import Table
from evergreen.monitoring.training_request import retraining_request
from evergreen.monitoring.trainings import trainings_of
from evergreen.pipeline import Pipeline
from evergreen.signals import SIGNALS, register
from evergreen.spec import parse_spec
from evergreen.storage import Storage
from evergreen.training import stage
from tests.unit.metrics.test_own_metric import day, night, opened, publish, record_of, sales, stored

OWN = Path(__file__).parent / "own"

BAKERY = """
name: bakery
description: Loaves that a bakery sells
owner: tests
schedule: "@daily"
start: 2024-01-01
partition: daily
sources:
  sales: {file: {path: sales.csv, time_column: at}}
task: regression
target: sold
training:
  window: 60 days
  minimum: 10 partitions
  holdout: 7 days
  metric: mae
  candidates:
    - {estimator: sklearn.linear_model.Ridge}
monitoring:
  surge: {rise: 30%}
  retrain: {on: [surge, performance], cooldown: 1 partition}
"""


@pytest.fixture(autouse=True)
def _surge(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The signal of `own/sitecustomize.py`, in this process and in those it starts."""
    monkeypatch.setenv("PYTHONPATH", str(OWN))
    runpy.run_path(str(OWN / "sitecustomize.py"))
    yield
    del SIGNALS["surge"]


def described(text: str, folder: Path) -> Path:
    (folder / "bakery").mkdir(parents=True)
    (folder / "bakery" / "pipeline.yaml").write_text(text)
    return folder / "bakery" / "pipeline.yaml"


def test_a_description_sets_its_knobs(tmp_path: Path) -> None:
    spec = parse_spec(described(BAKERY, tmp_path / "right"))
    surge = SIGNALS["surge"]
    assert surge.of(spec.monitoring).rise == 0.3
    left_out = BAKERY.replace("  surge: {rise: 30%}\n", "").replace("on: [surge, performance], ", "")
    spec = parse_spec(described(left_out, tmp_path / "less"))
    assert surge.of(spec.monitoring).rise == 0.5
    assert spec.signals == ("cusum", "renewal", "surge")


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("surge: {rise", "surge: {rize", "surge.rize: no such key, did you mean 'rise'?; allowed here: rise"),
        (
            "{rise: 30%}",
            "{rise: much}",
            "surge.rise: write a share like '5%' or 0.05",
        ),
        (
            "surge: {",
            "surg: {",
            "surg: no such key, did you mean 'surge'?; allowed here: bias,",
        ),
        (
            "[surge, performance]",
            "[surges]",
            "retrain.on.0: must be 'performance', 'cusum', 'bias', 'coverage', 'estimate', 'drift', "
            "'prediction_drift', 'renewal', 'skew', 'staleness' or 'surge'; it is 'surges'",
        ),
        (
            "[surge, performance]",
            "[estimate]",
            "retrain.on: 'estimate' is only for classification, leave it out",
        ),
    ],
)
def test_what_is_wrong_is_refused_as_it_is_anywhere(
    tmp_path: Path, right: str, wrong: str, said: str
) -> None:
    assert right in BAKERY
    with pytest.raises(SpecError) as error:
        parse_spec(described(BAKERY.replace(right, wrong), tmp_path))
    assert f"monitoring.{said}" in str(error.value)


def test_it_speaks_for_a_training_and_is_told_wherever_signals_are(tmp_path: Path, storage: Storage) -> None:
    pipeline = opened(BAKERY, tmp_path, storage)
    publish(pipeline, Table.PARTITIONS, {n: sales(n) for n in range(31)})
    assert stage.train(pipeline, day(30), {"sentence": "the first"}).promoted
    quiet = night(pipeline, 30)
    assert (quiet.retrain, quiet.evidence["firing"]) == (False, [])
    assert list(quiet.evidence["signals"]) == ["surge", "performance"]

    publish(pipeline, Table.PARTITIONS, {31: sales(31, demand=80.0)})
    decision = night(pipeline, 31)
    record = record_of(pipeline, 31)
    risen = record.level / record.promised_level - 1
    assert (decision.retrain, decision.evidence["firing"]) == (True, ["surge"])
    assert decision.reason.startswith(f"retrain: {risen:.0%} more is sold than in the hold-out (30% allowed)")
    assert decision.evidence["signals"]["surge"]["risen"] == pytest.approx(risen)

    (alert,) = [alert for alert in alert_on(pipeline, day(31)) if alert.key == "performance"]
    assert decision.reason in alert.text

    request = retraining_request(pipeline, day(31))
    assert (request.reason["kind"], request.as_of) == ("surge", day(32))
    assert signal_rows(request.reason)[0] == {
        "name": "surge of the target",
        "fired": True,
        "found": decision.evidence["signals"]["surge"]["clause"],
    }
    second = stage.train(pipeline, request.as_of, request.reason)
    card = pipeline.registry.read(second.version, "card.html").decode()
    assert '<td class="name">surge of the target</td><td><span class="mark fired">fired</span></td>' in card
    assert stored(pipeline, second.version, "lineage.json")["reason"]["kind"] == "surge"

    compared_in_a_backtest(pipeline, tmp_path)


def compared_in_a_backtest(pipeline: Pipeline, folder: Path) -> None:
    """The policies of a backtest decide by it, and tuning turns its knob."""
    spec, records = pipeline.spec, [record_of(pipeline, n) for n in (30, 31)]
    trainings = trainings_of(pipeline.registry.history())[:1]
    file = folder / "variants.yaml"
    file.write_text("patient: {surge: {rise: 90%}}\n")
    (patient,) = read_variants(spec, file)
    assert parse_policy("configured").decide(spec, records, trainings).retrain
    assert not patient.decide(spec, records, trainings).retrain
    assert patient.of(spec).monitoring.retrain == spec.monitoring.retrain
    assert set(turns(spec)) == {"rise", "over", "tolerance", "cooldown"}
    assert Event(day(32), day(31), "surge", "", "v", "Ridge", "promoted").triggered


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ValueError, match="signal 'surge': the name is taken, choose another"):
        register(SIGNALS["surge"])
