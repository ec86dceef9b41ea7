"""A cost from the description to the night: trained, gated, promised, measured, estimated and alarmed by."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from evergreen.lake import Table
from evergreen.metrics import Costs, metric_named
from evergreen.metrics.part import Part
from evergreen.monitoring.record import records_in
from evergreen.monitoring.stage import monitor
from evergreen.pipeline import Pipeline
from evergreen.scoring.score import score
from evergreen.spec import Spec, parse_spec
from evergreen.spec.decision import DecisionRule
from evergreen.storage import Storage
from evergreen.training import stage
from tests.unit.metrics.compute import mean_cost

LOANS = """
name: loans
description: Whether a loan is repaid
owner: tests
schedule: "@daily"
start: 2024-01-01
partition: daily
sources:
  loans: {file: {path: loans.csv, time_column: at}}
key: [loan]
task: classification
target: repaid
positive: "no"
training:
  window: 60 days
  minimum: 10 partitions
  holdout: 8 days
  metric: cost
  decision: {costs: {false_negative: 12, false_positive: 1}}
  candidates:
    - {estimator: sklearn.linear_model.LogisticRegression}
gate:
  limits: {cost: {max: 2}}
monitoring:
  performance: {tolerance: 25%, over: 2 partitions}
  retrain: {on: [performance, cusum, estimate]}
"""
SCHEMA = pa.schema(
    {"at": pa.timestamp("us", "UTC"), "loan": pa.int64(), "debt": pa.float64(), "repaid": pa.string()}
)
COSTS = Costs(false_negative=12, false_positive=1)
DEARER = Costs(false_negative=12, false_positive=3)


def day(number: int) -> str:
    return str((pd.Timestamp("2024-01-01") + pd.Timedelta(days=number)).date())


def loans(number: int) -> pd.DataFrame:
    """A day of forty loans, of which one in seven is not repaid."""
    random = np.random.default_rng(number)
    debt = random.normal(0, 1, 40)
    lost = random.random(40) < 1 / (1 + np.exp(2.6 - 1.5 * debt))
    at = pd.date_range(day(number), periods=40, freq="30min", tz="UTC").as_unit("us")
    keys = number * 100 + np.arange(40)
    return pd.DataFrame({"at": at, "loan": keys, "debt": debt, "repaid": np.where(lost, "no", "yes")})


def of_night(pipeline: Pipeline, number: int) -> tuple[Any, pd.DataFrame]:
    (record,) = records_in(pipeline.lake.read(Table.MONITORING, day(number), day(number)))
    return record, pipeline.lake.read(Table.PREDICTIONS, day(number), day(number)).to_pandas()


def priced(spec: Spec, costs: Costs) -> Spec:
    training = spec.training.model_copy(update={"decision": DecisionRule(costs=costs)})
    return spec.model_copy(update={"training": training})


def test_a_cost_decides_from_the_training_to_the_alarm(tmp_path: Path, storage: Storage) -> None:
    (tmp_path / "loans").mkdir()
    (tmp_path / "loans" / "pipeline.yaml").write_text(LOANS)
    pipeline = Pipeline(parse_spec(tmp_path / "loans" / "pipeline.yaml"), storage)
    days = {day(n): pa.Table.from_pandas(loans(n), schema=SCHEMA, preserve_index=False) for n in range(32)}
    pipeline.lake.replace(Table.PARTITIONS, days)

    # Task by task: what a task chose comes through staging to the card.
    version = stage.stage_training_set(pipeline, day(30), {"sentence": "the first"}, "run")
    stage.stage_challenger(pipeline, "run")
    stage.stage_evaluation(pipeline, "run")
    stage.commit_version(pipeline, "run")
    assert stage.promote_staged(pipeline, "run") is not None

    def stored(name: str) -> Any:
        return json.loads(pipeline.registry.read(version, name))

    found = stored("metrics.json")["evaluation"]
    cost, beside = found["challenger"]["cost"], found["intervals"]["cost"]
    assert beside["low"] < cost < beside["high"]
    held = pd.concat([loans(n) for n in range(22, 30)])["repaid"]
    # Always "no" is the cheaper word: 6/7 of 1 a row, against 1/7 of 12.
    always = mean_cost(held, np.repeat("no", len(held)), ("yes", "no"), costs=COSTS)
    assert found["baseline"]["cost"] == pytest.approx(always)
    checks = {check["name"]: check["detail"] for check in stored("gate.json")["checks"]}
    assert checks["baseline"] == f"cost a row {cost:.4g} is better than the dummy baseline's {always:.4g}"
    assert checks["limit cost"] == f"cost a row {cost:.4g} is within its limit (at most 2)"
    curve, decision = stored("explanation.json")["decision"], stored("lineage.json")["candidate"]["decision"]
    assert curve["thresholds"][curve["best"]] == pytest.approx(decision["threshold"], rel=1e-5)
    assert curve["values"][curve["best"]] == min(curve["values"])
    assert "cost a row of the challenger" in pipeline.registry.read(version, "card.html").decode()

    # The nights are measured by the costs that the version promised by, until another one is trained.
    records, rows = [], []
    for number, described in ((30, pipeline.spec), (31, priced(pipeline.spec, DEARER))):
        today = pipeline.described_by(described)
        score(today, day(number))
        monitor(today, day(number))
        record, predictions = of_night(pipeline, number)
        actual, said = predictions["actual"], predictions["prediction"]
        assert record.error == pytest.approx(mean_cost(actual, said, ("yes", "no"), costs=COSTS))
        assert record.promised == pytest.approx(cost)
        chance = predictions["probability"]
        expected = np.where(said == "no", 1 - chance, 12 * chance).mean()
        promised, known = stored("reference.json")["promised"]["cost"], stored("reference.json")["expected"]
        if record.estimated is not None:
            assert record.estimated == pytest.approx(expected + promised - known)
        records.append(record)
        rows.append(predictions)
    assert any(record.estimated is not None for record in records)
    both = pd.concat(rows)
    parts = [Part(record.labelled, record.error) for record in records]
    assert metric_named("cost").pooled(parts) == pytest.approx(
        mean_cost(both["actual"], both["prediction"], ("yes", "no"), costs=COSTS)
    )
