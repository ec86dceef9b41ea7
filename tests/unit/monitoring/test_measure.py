"""Measuring a partition: error, level, drift, age; and the record as a row of the lake."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from evergreen.evaluation.evaluate import Evaluation
from evergreen.lake import PARTITION
from evergreen.monitoring.measure import measure
from evergreen.monitoring.record import Decision, Record, decisions_in, records_in, to_table
from evergreen.monitoring.reference import build_reference
from evergreen.spec import Spec, parse_spec

TESTS = Path(__file__).parents[2]
KIOSK = parse_spec(TESTS / "pipelines" / "kiosk" / "pipeline.yaml")
IRIS = parse_spec(TESTS.parent / "include" / "pipelines" / "iris" / "pipeline.yaml")
WINE = parse_spec(TESTS.parent / "include" / "pipelines" / "wine_segments" / "pipeline.yaml")
DAYS = list(KIOSK.calendar.between("2024-01-01", "2024-02-29"))


def reference(spec: Spec = KIOSK, promised: float | None = 10.0, **features: Any) -> dict[str, Any]:
    frame = pd.DataFrame(features or {"x": np.arange(100.0)})
    target = pd.Series([100.0] * (len(frame) - 2) + [-40.0, 60.0])
    holdout = np.arange(len(frame)) >= len(frame) - 2
    training_set: Any = SimpleNamespace(features=frame, target=target, holdout=holdout, rows=frame)
    metrics = {spec.training.metric: np.nan if promised is None else promised}
    evaluation = Evaluation(spec.training.metric, metrics, {}, None, None, 2, 0)
    return build_reference(spec, training_set, evaluation, predictions=np.arange(100.0))


def measured(predictions: pd.DataFrame, features: pd.DataFrame | None = None, **changes: Any) -> Record:
    values: dict[str, Any] = {"partition": "2024-01-31", "version": "v", "as_of": "2024-01-21"}
    spec = changes.pop("spec", KIOSK)
    values |= {"published": DAYS, **changes}
    if features is None:
        features = pd.DataFrame({"x": [5.0, 50.0]})
    return measure(spec, values.pop("reference", None) or reference(spec), features, predictions, **values)


TWO = pd.DataFrame({"prediction": [10.0, 20.0], "actual": [13.0, 15.0]})


def test_error_level_and_promise_by_hand() -> None:
    record = measured(TWO)
    assert (record.error, record.level, record.labelled, record.rows) == (4.0, 14.0, 2, 2)
    assert (record.promised, record.promised_level, record.metric) == (10.0, 50.0, "mae")


def test_age_counts_published_partitions_up_to_this_one() -> None:
    record = measured(TWO)
    assert record.age == 11  # 21 to 31 January
    assert record.history == 31  # the window of 40 days is not full yet
    later = measured(TWO, partition="2024-02-20")
    assert (later.age, later.history) == (31, 40)


def test_partitions_that_were_never_published_have_no_age() -> None:
    record = measured(TWO, published=["2024-01-10", "2024-01-25", "2024-01-31"])
    assert (record.age, record.history) == (2, 3)


def test_rows_without_a_label_do_not_count() -> None:
    record = measured(pd.DataFrame({"prediction": [10.0, 20.0], "actual": [np.nan, 15.0]}))
    assert (record.error, record.labelled, record.rows) == (5.0, 1, 2)


def test_no_labels_at_all() -> None:
    record = measured(pd.DataFrame({"prediction": [10.0, 20.0], "actual": [np.nan, np.nan]}))
    assert (record.error, record.level, record.labelled) == (None, None, 0)


def test_a_promise_that_is_no_number() -> None:
    assert measured(TWO, reference=reference(promised=None)).promised is None


def test_drift_of_features_and_of_predictions() -> None:
    many = pd.DataFrame({"prediction": np.full(50, 1000.0), "actual": np.full(50, 1000.0)})
    draw = np.random.default_rng(0)
    features = pd.DataFrame({"x": np.full(50, 500.0), "y": draw.normal(size=50)})
    record = measured(many, features, reference=reference(x=np.arange(100.0), y=draw.normal(size=100)))
    assert record.drift["x"]["drifted"]
    assert not record.drift["y"]["drifted"]
    assert record.drift["(predictions)"]["drifted"]
    assert record.drifted_share == 0.5  # the predictions are no feature


def test_classification_by_labels_and_by_probabilities() -> None:
    labels = pd.DataFrame({"prediction": list("abab"), "actual": ["a", "a", "b", None]})
    features = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0]})
    record = measured(labels, features, spec=IRIS, partition="snapshot", published=["snapshot"])
    assert record.error == pytest.approx(1 / 3)
    assert (record.level, record.age, record.history) == (None, 0, 1)

    spec = IRIS.model_copy(update={"training": IRIS.training.model_copy(update={"metric": "log_loss"})})
    shares = np.array([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3], [0.5, 0.5]])
    model = SimpleNamespace(classes_=np.array(["a", "b"]), predict_proba=lambda x: shares[: len(x)])
    record = measured(labels, features, spec=spec, partition="snapshot", published=["snapshot"], model=model)
    assert record.error == pytest.approx(log_loss(["a", "a", "b"], shares[:3]))


def test_clustering_has_drift_and_no_error() -> None:
    clusters = pd.DataFrame({"prediction": [0, 1]})
    record = measured(clusters, spec=WINE, partition="snapshot", published=["snapshot"])
    assert (record.error, record.labelled) == (None, 0)
    assert record.drift["x"]["psi"] > 0


def test_a_record_survives_the_lake() -> None:
    record = measured(TWO)
    decision = Decision(record.partition, True, "retrain: because", {"signals": {"performance": {"x": 1.5}}})
    rows = to_table(record, decision)
    rows = rows.append_column(PARTITION, [[record.partition]])
    assert records_in(rows) == [record]
    assert decisions_in(rows) == [decision]
