"""Measuring a partition: error, level, drift, estimate, age; and the record as a row of the lake."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.metrics import log_loss

from evergreen.drift.binning import binning
from evergreen.lake import PARTITION
from evergreen.monitoring.cells import count_cells
from evergreen.monitoring.measure import error_alone, estimates, measure, performance
from evergreen.monitoring.record import Decision, decisions_in, records_in, to_table
from evergreen.monitoring.reference import PREDICTIONS, Reference
from evergreen.signals.drift import Drift
from evergreen.signals.performance import Performance
from evergreen.signals.record import Record
from evergreen.signals.sequential import widening
from evergreen.spec import Retrain, Spec, parse_spec

TESTS = Path(__file__).parents[2]
KIOSK = parse_spec(TESTS / "pipelines" / "kiosk" / "pipeline.yaml")
IRIS = parse_spec(TESTS.parent / "include" / "pipelines" / "iris" / "pipeline.yaml")
WINE = parse_spec(TESTS.parent / "include" / "pipelines" / "wine_segments" / "pipeline.yaml")
DAYS = list(KIOSK.calendar.between("2024-01-01", "2024-02-29"))


def reference(spec: Spec = KIOSK, promised: float | None = 10.0, days: int = 20, **changes: Any) -> Reference:
    """Features `x` and `y`, five rows a day before 21 January, and predictions from 0 to 99."""
    draw = np.random.default_rng(2)
    frame = pd.DataFrame({"x": draw.normal(size=100), "y": draw.normal(size=100)})
    keys = np.repeat(DAYS[:days], 100 // days) if spec.calendar.has_time else ["snapshot"] * 100
    predicted = pd.DataFrame({PREDICTIONS: draw.permutation(np.arange(100.0))})
    made = {name: binning(frame[name]) for name in frame}
    of_predictions = {PREDICTIONS: binning(predicted[PREDICTIONS])}
    values: dict[str, Any] = {
        "binnings": made,
        "cells": count_cells(spec.calendar, made, frame, pd.Series(keys)),
        "predictions": of_predictions[PREDICTIONS],
        "prediction_cells": count_cells(spec.calendar, of_predictions, predicted, pd.Series(keys)),
        "promised": {spec.training.metric: promised},
        "by_partition": {"2024-01-19": 8.0, "2024-01-20": 12.0},
        "slices": {},
        "level": 50.0,
        "rows": 100,
    }
    return Reference(**{**values, **changes})


def measured(predictions: pd.DataFrame, features: pd.DataFrame | None = None, **changes: Any) -> Record:
    values: dict[str, Any] = {"partition": "2024-01-31", "version": "v", "as_of": "2024-01-21"}
    spec = changes.pop("spec", KIOSK)
    values |= {"published": DAYS, **changes}
    if features is None:
        features = pd.DataFrame({"x": np.zeros(len(predictions)), "y": np.zeros(len(predictions))})
    rows = values.pop("rows", features)
    return measure(
        spec, values.pop("reference", None) or reference(spec), rows, features, predictions, **values
    )


def drift(**limits: Any) -> Spec:
    monitoring = KIOSK.monitoring.model_copy(update={"drift": Drift.model_validate(limits)})
    return KIOSK.model_copy(update={"monitoring": monitoring})


TWO = pd.DataFrame({"prediction": [10.0, 20.0], "actual": [13.0, 15.0]})


def test_error_level_and_promise_by_hand() -> None:
    record = measured(TWO)
    assert (record.error, record.level, record.labelled, record.rows) == (4.0, 14.0, 2, 2)
    assert (record.promised, record.promised_level, record.metric) == (10.0, 50.0, "mae")
    assert record.spread == pytest.approx(statistics.stdev([8.0, 12.0]) * widening(2))


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


@pytest.mark.parametrize("actual", [{"actual": [np.nan, np.nan]}, {}])
def test_no_labels_at_all(actual: dict[str, list[float]]) -> None:
    record = measured(pd.DataFrame({"prediction": [10.0, 20.0], **actual}))
    assert (record.error, record.level, record.labelled, record.slices) == (None, None, 0, {})


def test_a_promise_that_is_no_number() -> None:
    assert measured(TWO, reference=reference(promised=None)).promised is None


def test_a_spread_needs_two_partitions() -> None:
    assert measured(TWO, reference=reference(by_partition={"2024-01-20": 8.0})).spread is None


def test_slices_and_what_they_were_promised() -> None:
    spec = KIOSK.model_copy(
        update={
            "monitoring": KIOSK.monitoring.model_copy(update={"performance": Performance(slices=("sky",))})
        }
    )
    rows = pd.DataFrame({"sky": ["clear"] * 6 + ["mist"] * 6})
    predictions = pd.DataFrame({"prediction": np.zeros(12), "actual": [2.0] * 6 + [5.0] * 6})
    given = reference(slices={"sky=mist": {"mae": 1.0}})
    record = measured(predictions, spec=spec, rows=rows, reference=given)
    shown = ("rows", "error", "promised", "too_few")
    assert [record.slices["sky=mist"][name] for name in shown] == [6, 5.0, 1.0, False]
    assert record.slices["sky=clear"]["error"] == 2.0


def test_coverage_is_counted_of_the_labelled_rows_and_kept_as_json() -> None:
    given = reference(levels=(0.8,))
    night = TWO.assign(lower=[9.0, 16.0], upper=[13.0, 24.0])
    record = measured(night, reference=given)
    assert record.coverage == [{"level": 0.8, "rows": 2, "covered": 1, "width": 6.0, "correlation": None}]
    half = measured(night.assign(actual=[np.nan, 15.0]), reference=given)
    assert [(one["rows"], one["covered"], one["width"]) for one in half.coverage] == [(1, 0, 8.0)]
    for other in (TWO, night.assign(actual=np.nan), night.assign(lower=np.nan)):
        assert measured(other, reference=given).coverage == []
    assert measured(night).coverage == []  # a version without levels, as of an older release
    table = to_table(record, Decision(record.partition, False, "no", {}))
    stored = table.append_column("partition", [[record.partition]])
    assert records_in(stored)[0].coverage == record.coverage
    older = stored.set_column(stored.schema.get_field_index("coverage"), "coverage", pa.nulls(1, pa.string()))
    assert records_in(older)[0].coverage == []
    alone = error_alone(KIOSK, night, partition=record.partition, version="v", levels=(0.8,))
    assert alone.coverage == record.coverage


def test_drift_of_features_and_of_predictions() -> None:
    draw = np.random.default_rng(0)
    many = pd.DataFrame({"prediction": draw.normal(1000, 1, 600), "actual": 1000.0})
    features = pd.DataFrame({"x": draw.normal(9, 1, 600), "y": draw.normal(size=600)})
    record = measured(many, features, partition="2024-01-21")
    assert record.drift["x"]["drifted"]
    assert not record.drift["y"]["drifted"]
    assert set(record.drift) == {"x", "y"}
    assert record.prediction_drift is not None
    assert record.prediction_drift["drifted"]
    assert record.drifted_share == 0.5  # the predictions are no feature
    assert record.held_against == "trailing"  # 20 days before it hold no season of 31 January
    assert record.joint is None


def test_its_own_rows_are_counted_whatever_it_is_pooled_with() -> None:
    given = reference()
    before = [measured(TWO, partition=key) for key in DAYS[25:30]]
    record = measured(TWO, partition=DAYS[30], earlier=before)
    assert set(record.counts) == {"x", "y", PREDICTIONS}
    assert record.counts["x"] == given.binnings["x"].count(pd.Series([0.0, 0.0])).tolist()
    alike = given.cells.alike[0]
    assert record.drift["x"]["rows"] == pytest.approx((6 * 2 + 17 * 5) / alike)  # 4 to 20 January: training
    assert before[0].drift["x"]["rows"] == pytest.approx((2 + 20 * 5) / alike)


def test_small_partitions_do_not_flicker_but_a_lasting_change_is_seen() -> None:
    draw = np.random.default_rng(1)
    given, spec = reference(), drift(rows=60, reference="window")
    records: list[Record] = []
    seen: list[bool] = []
    for number, key in enumerate(DAYS[20:60]):
        level = 0.0 if number < 25 else 3.0
        features = pd.DataFrame({"x": draw.normal(level, 1, 10), "y": draw.normal(size=10)})
        predictions = pd.DataFrame({"prediction": draw.uniform(0, 100, 10)})
        records.append(
            measured(predictions, features, spec=spec, reference=given, partition=key, earlier=records)
        )
        seen.append(records[-1].drift["x"]["drifted"])
    assert not any(seen[:25])
    assert 0 <= seen.index(True) - 25 <= 4
    assert all(seen[30:])
    assert not any(record.drift["y"]["drifted"] for record in records)


def test_records_from_now_on_do_not_count() -> None:
    before = [measured(TWO, partition=key) for key in DAYS[20:30]]
    later = [measured(TWO.assign(prediction=1e9), partition=key) for key in DAYS[30:40]]
    record = measured(TWO, partition=DAYS[30], earlier=before)
    assert measured(TWO, partition=DAYS[30], earlier=[*before, *later]) == record


def test_a_feature_that_is_gone_is_left_out() -> None:
    record = measured(TWO, pd.DataFrame({"x": [0.0, 0.1]}))
    assert set(record.drift) == {"x"}


def test_rows_that_differ_only_together(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(3)
    x = draw.normal(size=1_500)
    sample = pd.DataFrame({"x": x, "y": x + 0.3 * draw.normal(size=1_500), PARTITION: DAYS[0]})
    z = draw.normal(size=500)
    apart = pd.DataFrame({"x": z, "y": -z + 0.3 * draw.normal(size=500)})
    predictions = pd.DataFrame({"prediction": np.zeros(500)})
    spec = drift(joint=0.7, reference="window")
    record = measured(predictions, apart, spec=spec, reference=reference(sample=sample))
    assert record.joint is not None
    assert record.joint["drifted"]
    assert record.joint["auc"] > 0.9
    same = measured(predictions, sample[["x", "y"]].head(500), spec=spec, reference=reference(sample=sample))
    assert same.joint is not None
    assert not same.joint["drifted"]
    # Of the night's own season there are no rows, and against another it is not held.
    summer = measured(
        predictions, apart, spec=drift(joint=0.7), reference=reference(sample=sample), partition="2024-02-28"
    )
    assert summer.joint is None


SHARES = np.array([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3], [0.5, 0.5]])
LABELS = pd.DataFrame(
    {"prediction": list("abab"), "probability": SHARES[:, 1], "actual": ["a", "a", "b", None]}
)
CLASSES: dict[str, Any] = {"model_classes": ("a", "b")}
SNAPSHOT = {"partition": "snapshot", "published": ["snapshot"]}


def asked(spec: Spec, metric: str = "accuracy", on: tuple[str, ...] | None = None) -> Spec:
    retrain = Retrain(on=on)
    return spec.model_copy(
        update={
            "training": spec.training.model_copy(update={"metric": metric}),
            "monitoring": spec.monitoring.model_copy(update={"retrain": retrain}),
        }
    )


def test_classification_by_labels_and_by_probabilities() -> None:
    record = measured(LABELS, spec=IRIS, **SNAPSHOT)
    assert record.error == pytest.approx(1 / 3)
    assert (record.level, record.age, record.history) == (None, 0, 1)
    spec = asked(IRIS, "log_loss")
    record = measured(LABELS, spec=spec, reference=reference(spec, **CLASSES), **SNAPSHOT)
    assert record.error == pytest.approx(log_loss(["a", "a", "b"], SHARES[:3]))


def test_performance_is_estimated_where_that_is_asked_for() -> None:
    spec = asked(IRIS, on=("estimate",))
    given = reference(spec, promised=0.75, expected=0.7, **CLASSES)
    record = measured(LABELS.drop(columns="actual"), spec=spec, reference=given, **SNAPSHOT)
    # (0.9 + 0.6 + 0.7 + 0.5) / 4, and on the hold-out it was 0.05 too low
    assert record.estimated == pytest.approx(0.675 + 0.05)
    assert (record.error, record.labelled) == (None, 0)
    assert measured(LABELS, spec=IRIS, reference=given, **SNAPSHOT).estimated is None
    assert (estimates(spec), estimates(IRIS), estimates(KIOSK)) == (True, False, False)
    # An older release published no probabilities.
    bare = LABELS.drop(columns="probability")
    assert measured(bare, spec=spec, reference=given, **SNAPSHOT).estimated is None


def test_a_model_that_is_surer_than_right_gives_no_estimate() -> None:
    spec = asked(IRIS, on=("estimate",))
    for promised, expected in ((0.6, 0.9), (0.6, None)):
        given = reference(spec, promised=promised, expected=expected, **CLASSES)
        assert measured(LABELS, spec=spec, reference=given, **SNAPSHOT).estimated is None


def test_an_estimate_stays_a_share() -> None:
    spec = asked(IRIS, on=("estimate",))
    given = reference(spec, promised=0.9, expected=0.88, **CLASSES)
    certain = LABELS.assign(prediction="a", probability=0.0)
    found = measured(certain, spec=spec, reference=given, **SNAPSHOT)
    assert found.estimated == 1.0


def test_clustering_has_drift_and_no_error() -> None:
    clusters = pd.DataFrame({"prediction": [0, 1]})
    record = measured(clusters, spec=WINE, **SNAPSHOT)
    assert (record.error, record.labelled, record.estimated) == (None, 0, None)
    assert record.drift["x"]["psi"] > 0


def test_what_labels_fill_in_is_what_they_would_have_told_at_once() -> None:
    whole, blank = measured(TWO), measured(TWO.assign(actual=np.nan))
    features = pd.DataFrame({"x": [0.0, 0.0], "y": [0.0, 0.0]})
    found = performance(KIOSK, reference(), features, features, TWO)
    assert {**vars(blank), **found} == vars(whole)


def test_a_record_survives_the_lake() -> None:
    record = measured(TWO, health={"rows": 2, "usual_rows": None})
    decision = Decision(record.partition, True, "retrain: because", {"signals": {"performance": {"x": 1.5}}})
    rows = to_table(record, decision)
    rows = rows.append_column(PARTITION, [[record.partition]])
    assert records_in(rows) == [record]
    assert decisions_in(rows) == [decision]
