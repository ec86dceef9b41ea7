"""A metric that is defined in one place works everywhere: from `pipeline.yaml` to the alert."""

from __future__ import annotations

import json
import math
import runpy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from evergreen.alerts.stage import alert_on
from evergreen.evaluation.verdict import Outcome
from evergreen.lake import Table
from evergreen.metrics import METRICS
from evergreen.monitoring.record import Decision, Record, records_in
from evergreen.monitoring.stage import monitor
from evergreen.pipeline import Pipeline
from evergreen.scoring.score import score
from evergreen.spec import parse_spec
from evergreen.storage import Storage
from evergreen.training import stage

OWN = Path(__file__).parent / "own"

PROFIT = """
name: bakery
description: Loaves that a bakery sells, which bakes as many as are predicted
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
  metric: profit
  candidates:
    - {estimator: sklearn.linear_model.Ridge, search: {alpha: [0.1, 10000.0]}}
  tuning: {trials: 2, folds: 3}
gate:
  limits: {profit: {min: 50}}
  champion: {margin: 0, confidence: 80%}
monitoring:
  performance: {tolerance: 25%, over: 2 partitions}
  retrain: {on: [performance, cusum], cooldown: 1 partition}
"""

GROWTH = """
name: bookmaker
description: Which of two teams wins, known two days later
owner: tests
schedule: "@daily"
start: 2024-01-01
partition: daily
sources:
  games: {file: {path: games.csv, time_column: at}}
key: [game]
task: classification
target: won
labels: {source: {file: {path: "results/{partition}.csv"}}, delay: 2 partitions}
training:
  window: 60 days
  minimum: 10 partitions
  holdout: 7 days
  metric: growth
  candidates:
    - {estimator: sklearn.linear_model.LogisticRegression}
monitoring:
  performance: {tolerance: 25%, over: 2 partitions}
  retrain: {on: [performance, cusum, estimate]}
"""


@pytest.fixture(autouse=True)
def _own_metrics(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The metrics of `own/sitecustomize.py`, in this process and in those it starts."""
    known = set(METRICS)
    monkeypatch.setenv("PYTHONPATH", str(OWN))
    runpy.run_path(str(OWN / "sitecustomize.py"))
    yield
    for name in set(METRICS) - known:
        del METRICS[name]


def opened(description: str, folder: Path, storage: Storage) -> Pipeline:
    name = description.split()[1]
    (folder / name).mkdir()
    (folder / name / "pipeline.yaml").write_text(description)
    return Pipeline(parse_spec(folder / name / "pipeline.yaml"), storage)


def day(number: int) -> str:
    return str((pd.Timestamp("2024-01-01") + pd.Timedelta(days=number)).date())


def publish(pipeline: Pipeline, table: Table, days: dict[int, pd.DataFrame]) -> None:
    tables = {day(n): pa.Table.from_pandas(rows, preserve_index=False) for n, rows in days.items()}
    pipeline.lake.replace(table, tables)


def times(number: int, rows: int) -> pd.DatetimeIndex:
    return pd.date_range(day(number), periods=rows, freq="1h", tz="UTC").as_unit("us")


def sales(number: int, demand: float = 50.0) -> pd.DataFrame:
    """A day of twelve shops that sell more loaves where more people pass by."""
    random = np.random.default_rng(number)
    people = random.uniform(-1, 1, 12)
    sold = demand + 12 * people + random.normal(0, 3, 12)
    return pd.DataFrame({"at": times(number, 12), "people": people, "sold": sold})


def stored(pipeline: Pipeline, version: str, name: str) -> dict:
    return json.loads(pipeline.registry.read(version, name))


def record_of(pipeline: Pipeline, number: int) -> Record:
    (found,) = records_in(pipeline.lake.read(Table.MONITORING, day(number), day(number)))
    return found


def night(pipeline: Pipeline, number: int) -> Decision:
    score(pipeline, day(number))
    return monitor(pipeline, day(number))


def test_a_metric_of_a_regression_without_bounds(tmp_path: Path, storage: Storage) -> None:
    pipeline = opened(PROFIT, tmp_path, storage)
    publish(pipeline, Table.PARTITIONS, {n: sales(n) for n in range(42)})

    first = stage.train(pipeline, day(30), {"sentence": "the first"})
    assert first.promoted
    found = stored(pipeline, first.version, "metrics.json")["evaluation"]
    worth, beside = found["challenger"]["profit"], found["intervals"]["profit"]
    assert worth > 100, "nothing takes it for a share"
    assert beside["low"] < worth < beside["high"]
    known = pd.concat([sales(n) for n in range(23)])["sold"]
    held = pd.concat([sales(n) for n in range(23, 30)])["sold"]
    constant = np.percentile(known, 60, method="inverted_cdf")
    assert found["baseline"]["profit"] == pytest.approx(
        float((5 * np.minimum(constant, held) - 2 * constant).mean()), abs=0.5
    ), "the dummy predicts the quantile that the metric names"
    checks = {check["name"]: check for check in stored(pipeline, first.version, "gate.json")["checks"]}
    assert checks["limit profit"]["detail"].endswith("is within its limit (at least 50)")
    assert "is better than the dummy baseline's" in checks["baseline"]["detail"]
    trials = stored(pipeline, first.version, "explanation.json")["search"]["trials"]
    assert trials[-1]["best"] == max(trial["score"] for trial in trials)
    card = pipeline.registry.read(first.version, "card.html").decode()
    assert '<abbr title="mean profit of a sale">profit</abbr> (decides)' in card
    assert "higher profit is better" in card

    second = stage.train(pipeline, day(35), {"sentence": "the second"})
    compared = stored(pipeline, second.version, "metrics.json")["evaluation"]["comparison"]
    assert compared["metric"] == "profit"
    assert compared["loss"] == pytest.approx(compared["champion"] - compared["challenger"])
    assert compared["low"] < compared["loss"] < compared["high"]

    quiet = [night(pipeline, n) for n in range(40, 42)]
    assert not any(decision.retrain for decision in quiet)
    publish(pipeline, Table.PARTITIONS, {n: sales(n, demand=25.0) for n in range(42, 44)})
    loud = [night(pipeline, n) for n in range(42, 44)]
    record = record_of(pipeline, 43)
    rows = sales(43, demand=25.0)
    predictions = pipeline.lake.read(Table.PREDICTIONS, day(43), day(43)).to_pandas()["prediction"]
    assert record.error == pytest.approx(
        float((5 * np.minimum(predictions, rows["sold"]) - 2 * predictions).mean())
    )
    assert record.error < record.promised
    assert loud[-1].evidence["firing"] == ["performance", "cusum"]
    assert loud[-1].reason.startswith("retrain: mean profit of a sale ")
    texts = {alert.key: f"{alert.title}: {alert.text}" for alert in alert_on(pipeline, day(43))}
    assert "mean profit of a sale" in texts["performance"]
    assert "beyond its limit: profit of the champion" in texts["limit"]
    assert "gate.limits asks for at least 50" in texts["limit"]


def games(number: int, upset: bool = False) -> pd.DataFrame:
    """A day of twenty games that the stronger team mostly wins."""
    random = np.random.default_rng(number)
    lead = random.normal(0, 2, 20)
    home = random.random(20) < 1 / (1 + np.exp(-2 * lead))
    return pd.DataFrame(
        {
            "at": times(number, 20),
            "game": number * 100 + np.arange(20),
            "lead": lead,
            "won": home != upset,
        }
    )


def test_a_metric_of_probabilities_without_bounds(tmp_path: Path, storage: Storage) -> None:
    pipeline = opened(GROWTH, tmp_path, storage)

    def play(*numbers: int) -> None:
        publish(pipeline, Table.PARTITIONS, {n: games(n).drop(columns="won") for n in numbers})

    def end(*numbers: int) -> None:
        publish(pipeline, Table.LABELS, {n: games(n, upset=n >= 40)[["game", "won"]] for n in numbers})

    play(*range(38))
    end(*range(36))
    trained = stage.train(pipeline, day(38), {"sentence": "the first"})
    assert trained.verdict.outcome is Outcome.PROMOTED
    found = stored(pipeline, trained.version, "metrics.json")["evaluation"]
    assert found["challenger"]["growth"] > 1
    assert found["challenger"]["growth"] == pytest.approx(
        100 * (1 - found["challenger"]["log_loss"] / math.log(2))
    )
    reference = stored(pipeline, trained.version, "reference.json")
    assert reference["expected"] > 1
    assert len(reference["by_partition"]) == 7

    decisions = []
    for number in range(38, 44):
        play(number)
        end(number - 2)
        decisions.append(night(pipeline, number))
    newest, settled = record_of(pipeline, 43), record_of(pipeline, 41)
    assert newest.error is None
    assert newest.estimated > 1, "an estimate is not cut to 0..1 either"
    assert settled.error < -1
    assert not decisions[0].retrain
    assert decisions[-1].evidence["firing"] == ["performance", "cusum"]
    assert "growth of the stake" in decisions[-1].reason
    (alert,) = [alert for alert in alert_on(pipeline, day(43)) if alert.key == "performance"]
    assert "growth of the stake" in alert.text
