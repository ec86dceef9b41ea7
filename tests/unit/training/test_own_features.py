"""A change of feature code: gate, trial, monitoring and front door compare models that each use their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from evergreen.errors import IntegrityError
from evergreen.evaluation.evaluate import Evaluation
from evergreen.features.own import own_features
from evergreen.front_door.model import Model
from evergreen.lake import Table
from evergreen.monitoring.record import records_in
from evergreen.monitoring.stage import monitor
from evergreen.pipeline import Pipeline
from evergreen.scoring.score import score
from evergreen.signals.record import Record
from evergreen.spec import Spec, parse_spec
from evergreen.storage import Storage
from evergreen.training import stage
from evergreen.training_set.assemble import assemble
from evergreen.training_set.by_version import features_by
from evergreen.training_set.read import read_window
from tests.unit.sales import FEATURES

REASON = {"sentence": "a test asked for it"}
SLOW = "    - {estimator: sklearn.ensemble.HistGradientBoostingRegressor, params: {max_iter: 10}}\n"
EARLIER, AS_OF, NIGHT = "2024-01-28", "2024-02-03", "2024-02-04"

OTHER = '''
def build(rows):
    """The price alone, in another unit and under another name."""
    return rows[[]].assign(cents=rows["price"] * 100)
'''


@pytest.fixture
def sales(make_spec: Callable[..., Spec], daily_rows: pd.DataFrame, storage: Storage) -> Pipeline:
    """The pipeline `sales` with its forty days published; its former features are kept in its folder."""
    pipeline = Pipeline(make_spec(changes={SLOW: ""}), storage)
    days = {
        str(key): pa.Table.from_pandas(day.drop(columns="partition"), preserve_index=False)
        for key, day in daily_rows.groupby("partition")
    }
    pipeline.lake.replace(Table.PARTITIONS, days)
    former = pipeline.spec.folder / "former"
    former.mkdir()
    (former / "first.py").write_text(FEATURES)
    return pipeline


def changed(pipeline: Pipeline, features: str = OTHER, look_back: str = "0 days") -> Pipeline:
    """The pipeline after a change of its features."""
    folder = pipeline.spec.folder
    (folder / "features.py").write_text(features)
    file = folder / "pipeline.yaml"
    file.write_text(file.read_text().replace("look_back: 3 days", f"look_back: {look_back}"))
    return Pipeline(parse_spec(file), pipeline.storage)


def evaluation_of(pipeline: Pipeline, version: str) -> Evaluation:
    return Evaluation.from_dict(json.loads(pipeline.registry.read(version, "metrics.json"))["evaluation"])


def monitored(pipeline: Pipeline, partition: str) -> Record:
    (record,) = records_in(pipeline.lake.read(Table.MONITORING, partition, partition))
    return record


def test_the_gate_compares_models_that_each_use_their_own_features(sales: Pipeline) -> None:
    champion = stage.train(sales, EARLIER, REASON)
    assert champion.promoted
    unchanged = evaluation_of(sales, stage.train(sales, AS_OF, REASON).version)
    sales.registry.rollback(champion.version)
    after = changed(sales)
    trained = stage.train(after, AS_OF, REASON)
    found = evaluation_of(after, trained.version)
    assert found.champion is not None
    assert unchanged.champion is not None
    assert found.champion["version"] == champion.version
    assert found.champion["problem"] is None
    assert found.champion["metrics"] == pytest.approx(unchanged.champion["metrics"])
    assert (found.champion["own_features"], unchanged.champion["own_features"]) == (True, False)
    assert (found.compared_rows, found.comparison is not None) == (unchanged.compared_rows, True)
    assert "each from its own features" in trained.verdict.sentence + str(
        json.loads(after.registry.read(trained.version, "gate.json"))
    )
    card = after.registry.read(trained.version, "card.html").decode()
    assert "The champion predicts from the features that it was trained on." in card


def test_a_run_whose_tasks_are_apart_compares_them_too(sales: Pipeline) -> None:
    champion = stage.train(sales, EARLIER, REASON)
    after = changed(sales)
    stage.stage_training_set(after, AS_OF, REASON, "run-1")
    stage.stage_challenger(after, "run-1")
    found = stage.stage_evaluation(after, "run-1")
    assert found.champion is not None
    assert (found.champion["version"], found.champion["problem"]) == (champion.version, None)
    assert found.comparison is not None


def test_features_of_another_version_are_those_that_it_would_be_trained_on(sales: Pipeline) -> None:
    version = stage.train(sales, EARLIER, REASON).version
    rows, tables = read_window(sales, AS_OF)
    then = assemble(sales.spec, rows, AS_OF, tables, REASON)
    after = changed(sales)
    rows, tables = read_window(after, AS_OF)
    now = assemble(after.spec, rows, AS_OF, tables, REASON)
    own = own_features(after, version).pipeline
    # The own ones look three days further back than what was read for those of today.
    found = features_by(own, after.spec, now)
    assert found is not None
    pd.testing.assert_frame_equal(found, then.features)
    assert features_by(after, after.spec, now) is None


def test_rows_that_changed_in_the_meantime_are_not_compared(sales: Pipeline) -> None:
    version = stage.train(sales, EARLIER, REASON).version
    after = changed(sales)
    rows, tables = read_window(after, AS_OF)
    now = assemble(after.spec, rows, AS_OF, tables, REASON)
    fewer = sales.lake.read(Table.PARTITIONS, "2024-01-20", "2024-01-20").slice(1).drop_columns(["partition"])
    sales.lake.replace(Table.PARTITIONS, {"2024-01-20": fewer})
    now.lineage["table_versions"]["partitions"] = sales.lake.version(Table.PARTITIONS)
    with pytest.raises(IntegrityError, match="have changed since they were read"):
        features_by(own_features(after, version).pipeline, after.spec, now)


def test_what_the_champion_s_features_trip_over_makes_the_verdict_inconclusive(sales: Pipeline) -> None:
    failing = FEATURES.replace('day = rows["at"]', 'assert len(rows) < 150, "too many"\n    day = rows["at"]')
    assert failing != FEATURES
    first = changed(sales, failing, "3 days")
    # Its own training and its golden sample have fewer rows.
    own = stage.train(first, "2024-01-22", REASON)
    assert own.promoted
    (sales.spec.folder / "former" / "second.py").write_text(failing)
    after = changed(first)
    trained = stage.train(after, AS_OF, REASON)
    found = evaluation_of(after, trained.version).champion
    assert found is not None
    assert found["version"] == own.version
    assert "failed with AssertionError: too many: train a new version" in found["problem"]
    assert trained.verdict.outcome.value == "inconclusive"


def test_a_night_is_measured_by_the_features_of_the_version_that_scored_it(sales: Pipeline) -> None:
    stage.train(sales, AS_OF, REASON)
    score(sales, NIGHT)
    monitor(sales, NIGHT)
    before = monitored(sales, NIGHT)
    assert set(before.drift) == {"price", "before"}
    after = changed(sales)
    score(after, NIGHT)
    monitor(after, NIGHT)
    found = monitored(after, NIGHT)
    assert (found.drift, found.counts, found.error) == (before.drift, before.counts, before.error)


def test_a_rule_on_a_feature_of_today_is_measured_under_an_older_champion(sales: Pipeline) -> None:
    stage.train(sales, AS_OF, REASON)
    score(sales, NIGHT)
    after = changed(sales, OTHER.replace("cents=", 'dear=rows["price"] > 3, cents='))
    file = after.spec.folder / "pipeline.yaml"
    fairness = "gate: {fairness: [{column: dear, metric: mae, max_difference: 9, minimum: 2}]}\n"
    file.write_text(file.read_text() + fairness)
    ruled = Pipeline(parse_spec(file), after.storage)
    monitor(ruled, NIGHT)
    (rule,) = monitored(ruled, NIGHT).fairness
    dear = ruled.lake.read(Table.PARTITIONS, NIGHT, NIGHT).column("price").to_pandas() > 3
    expected = {str(value): int((dear == value).sum()) for value in sorted(set(dear))}
    assert {name.lower(): one["rows"] for name, one in rule["groups"].items()} == {
        name.lower(): rows for name, rows in expected.items()
    }


def test_a_challenger_on_trial_predicts_from_its_own_features_beside_the_champion(sales: Pipeline) -> None:
    champion = stage.train(sales, EARLIER, REASON)
    after = changed(sales)
    rival = stage.train(after, AS_OF, REASON)
    for one in (champion, rival):
        after.registry.promote(one.version, "2024-01-28", {})
    after.registry.rollback(champion.version)
    after.registry.refuse(rival.version, AS_OF, {"verdict": "inconclusive"})
    score(after, NIGHT)
    monitor(after, NIGHT)
    record = monitored(after, NIGHT)
    assert record.version == champion.version
    predicted = Model(after, rival.version).predict(NIGHT)
    error = float(np.abs(predicted["prediction"] - predicted["actual"]).mean())
    assert record.trial["version"] == rival.version
    assert record.trial["challenger"]["value"] == pytest.approx(error)
    assert record.trial["champion"]["value"] == pytest.approx(record.error)


def test_an_older_version_predicts_in_python_as_before(sales: Pipeline) -> None:
    version = stage.train(sales, EARLIER, REASON).version
    before = Model(sales, version).predict(NIGHT)
    rows = sales.lake.read(Table.PARTITIONS, NIGHT, NIGHT).to_pandas()
    given = Model(sales, version).predict(rows)
    after = changed(sales)
    pd.testing.assert_frame_equal(Model(after, version).predict(NIGHT), before)
    pd.testing.assert_frame_equal(Model(after, version).predict(rows), given)


def test_the_files_of_a_version_hold_its_features(sales: Pipeline) -> None:
    version = stage.train(sales, EARLIER, REASON).version
    assert sales.registry.read(version, "features.py").decode() == FEATURES
    described = json.loads(sales.registry.read(version, "features.json"))
    assert (described["columns"], described["target"]) == (["price", "before"], "sold")
    assert described["features"]["look_back"] == "3 days"
    assert Path(sales.spec.folder, "features.py").read_text() == FEATURES


def test_a_champion_of_another_target_is_said_in_one_sentence(sales: Pipeline) -> None:
    champion = stage.train(sales, EARLIER, REASON)
    (sales.spec.folder / "features.py").write_text(OTHER.replace('rows["price"]', 'rows["at"].dt.hour'))
    file = sales.spec.folder / "pipeline.yaml"
    file.write_text(file.read_text().replace("target: sold", "target: price"))
    other = Pipeline(parse_spec(file), sales.storage)
    trained = stage.train(other, AS_OF, REASON)
    (check,) = [check for check in trained.verdict.checks if check.name == "champion"]
    assert check.detail == (
        f"the challenger cannot be compared with champion {champion.version} (it predicts 'sold', and the "
        "description now says 'price'); if it is the better one, promote it by hand"
    )


def publish(pipeline: Pipeline, people: pd.DataFrame) -> None:
    table = pa.Table.from_pandas(people.drop(columns="partition"), preserve_index=False)
    place = table.schema.get_field_index("loyal")
    table = table.set_column(place, "loyal", table["loyal"].cast(pa.string()))
    pipeline.lake.replace(Table.PARTITIONS, {"snapshot": table}, table.schema)


def test_without_a_function_a_further_column_is_a_feature_of_the_challenger_alone(
    make_spec: Callable[..., Spec], snapshot: str, people: pd.DataFrame, storage: Storage
) -> None:
    text = snapshot.replace("search: {C: [0.01, 10, log]}", "params: {C: 1.0}")
    pipeline = Pipeline(make_spec(text), storage)
    publish(pipeline, people)
    champion = stage.train(pipeline, None, REASON)
    publish(pipeline, people.assign(age=np.arange(len(people)) % 7))
    found = evaluation_of(pipeline, stage.train(pipeline, None, REASON).version)
    assert found.champion is not None
    assert (found.champion["problem"], found.champion["own_features"]) == (None, True)
    assert found.champion["metrics"] == pytest.approx(champion.metrics)


def test_the_copy_of_a_snapshot_s_champion_predicts_from_its_own_features(
    make_spec: Callable[..., Spec], snapshot: str, people: pd.DataFrame, storage: Storage
) -> None:
    own = "def build(rows):\n    return rows[['spent', 'visits']]\n"
    text = snapshot.replace("search: {C: [0.01, 10, log]}", "params: {C: 1.0}")
    text = text.replace("task:", 'features: {function: "features.py:build"}\ntask:')
    pipeline = Pipeline(make_spec(text, features=own), storage)
    publish(pipeline, people)
    champion = stage.train(pipeline, None, REASON)
    assert champion.promoted, champion.verdict.sentence
    (pipeline.spec.folder / "former").mkdir()
    (pipeline.spec.folder / "former" / "first.py").write_text(own)
    (pipeline.spec.folder / "features.py").write_text(
        "def build(rows):\n    return rows[['spent']].rename(columns=str.upper)\n"
    )
    found = evaluation_of(pipeline, stage.train(pipeline, None, REASON).version)
    assert found.champion is not None
    assert (found.champion["problem"], found.champion["own_features"]) == (None, True)
    assert (found.champion["left_out"], found.compared_rows) == (0, 24)
    # The same rows were held out then: the copy gives what the champion promised.
    assert found.champion["metrics"] == pytest.approx(champion.metrics)
