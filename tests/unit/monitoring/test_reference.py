"""The reference of a version, built of a real training, and read back as the monitor reads it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evergreen.asked.finding import Asked, Together
from evergreen.candidates.fit import Challenger, fit_challenger
from evergreen.errors import IntegrityError
from evergreen.evaluation.evaluate import Evaluation, evaluate
from evergreen.lake import PARTITION
from evergreen.monitoring.promise import Predecessor
from evergreen.monitoring.reference import (
    PREDICTIONS,
    REFERENCE,
    ROWS,
    SAMPLE,
    Reference,
    build_reference,
    read_reference,
    rows_file,
)
from evergreen.pipeline import Pipeline
from evergreen.signals.drift import Drift
from evergreen.signals.performance import Performance
from evergreen.spec import Spec, parse_spec
from evergreen.spec.intervals import Intervals
from evergreen.storage import Storage
from evergreen.training.version_files import to_json, version_files
from evergreen.training_set.assemble import TrainingSet, assemble

TESTS = Path(__file__).parents[2]
KIOSK = parse_spec(TESTS / "pipelines" / "kiosk" / "pipeline.yaml")
IRIS = parse_spec(TESTS.parent / "include" / "pipelines" / "iris" / "pipeline.yaml")
DAYS = list(KIOSK.calendar.between("2024-01-01", "2024-02-09"))
Trained = tuple[TrainingSet, Challenger, Evaluation]


def sales(hours: tuple[int, ...] = (6, 10, 14, 18)) -> pd.DataFrame:
    """Forty days of sales that follow the temperature."""
    at = [pd.Timestamp(key, tz="UTC") + pd.Timedelta(hours=h) for key in DAYS for h in hours]
    temperature = 20 + 5 * np.random.default_rng(7).normal(size=len(at))
    frame = pd.DataFrame({"at": pd.DatetimeIndex(at).as_unit("us"), "temperature": temperature})
    frame["weather"] = np.where(temperature > 20, "warm", "cold")
    frame["sold"] = 3 * temperature + np.random.default_rng(8).normal(size=len(at))
    return frame.assign(partition=frame["at"].dt.strftime("%Y-%m-%d"))


def flowers() -> pd.DataFrame:
    draw = np.random.default_rng(3)
    kinds = np.repeat(["setosa", "virginica"], 60)
    sizes = {
        name: draw.normal(size=120) + 2 * (kinds == "virginica")
        for name in ("sepal_length", "sepal_width", "petal_length", "petal_width")
    }
    return pd.DataFrame({"flower": np.arange(120), **sizes, "species": kinds, "partition": "snapshot"})


def trained(spec: Spec, rows: pd.DataFrame, as_of: str) -> Trained:
    training_set = assemble(spec, rows, as_of, None, {"sentence": "a test"})
    challenger = fit_challenger(spec, training_set)
    return training_set, challenger, evaluate(spec, training_set, challenger, None)


def built(spec: Spec = KIOSK, rows: pd.DataFrame | None = None, as_of: str = "2024-02-10") -> Any:
    training_set, challenger, evaluation = trained(spec, sales() if rows is None else rows, as_of)
    return build_reference(spec, training_set, evaluation, challenger), training_set, challenger, evaluation


def with_monitoring(spec: Spec, **changes: Any) -> Spec:
    return spec.model_copy(update={"monitoring": spec.monitoring.model_copy(update=changes)})


def test_what_the_intervals_cover_is_counted_by_day_of_the_hold_out() -> None:
    reference, training_set, challenger, _ = built(
        KIOSK.model_copy(update={"intervals": Intervals(levels=(0.5, 0.6))})
    )
    assert reference.levels == (0.5, 0.6)
    assert list(reference.coverage) == list(reference.by_partition)
    held = training_set.holdout
    bounds = challenger.evaluated.predict_interval(training_set.features[held])[:, 0]
    actual = training_set.target[held].to_numpy()
    assert sum(one.covered for one, _ in reference.coverage.values()) == sum(
        low <= value <= high for value, (low, high) in zip(actual, bounds, strict=True)
    )
    again = Reference.from_dict(json.loads(json.dumps(reference.to_dict())))
    assert (again.levels, again.coverage) == (reference.levels, reference.coverage)
    assert built()[0].coverage == {}


def test_features_are_counted_by_day() -> None:
    reference, training_set, _, _ = built()
    assert list(reference.binnings) == list(training_set.features.columns)
    assert len(reference.cells) == 40
    assert reference.cells.rows.tolist() == [4] * 40
    day = training_set.features[(training_set.rows[PARTITION] == "2024-01-20").to_numpy()]
    own = reference.cells.by_feature(reference.cells.counts[19])
    for name, made in reference.binnings.items():
        assert own[name].tolist() == made.count(day[name]).tolist()
    assert reference.rows == 160


def test_predictions_are_those_of_rows_that_the_model_has_not_seen() -> None:
    reference, training_set, challenger, _ = built()
    held = training_set.holdout
    predicted = pd.Series(challenger.evaluated.predict(training_set.features[held]))
    assert reference.prediction_cells.rows.tolist() == [4, 4, 4]
    assert reference.prediction_cells.names == (PREDICTIONS,)
    assert reference.prediction_cells.counts.sum(axis=0).tolist() == (
        reference.predictions.count(predicted).tolist()
    )


def test_what_the_hold_out_promised() -> None:
    reference, training_set, challenger, evaluation = built()
    held = training_set.holdout
    actual = training_set.target[held].to_numpy()
    errors = abs(challenger.evaluated.predict(training_set.features[held]) - actual)
    assert reference.promised == pytest.approx(evaluation.challenger)
    assert list(reference.by_partition) == ["2024-02-07", "2024-02-08", "2024-02-09"]
    assert list(reference.by_partition.values()) == pytest.approx(errors.reshape(3, 4).mean(axis=1).tolist())
    assert reference.level == pytest.approx(abs(actual).mean())
    assert reference.expected is None


def test_the_promise_counts_each_row_alike_as_a_night_does() -> None:
    weighted = KIOSK.model_copy(update={"training": KIOSK.training.model_copy(update={"weight": "worth"})})
    rows = sales()
    reference, training_set, challenger, evaluation = built(
        weighted, rows.assign(worth=np.where(rows["weather"] == "warm", 9.0, 1.0))
    )
    held = training_set.holdout
    errors = abs(
        challenger.evaluated.predict(training_set.features[held]) - training_set.target[held].to_numpy()
    )
    assert reference.promised["mae"] == pytest.approx(errors.mean())
    assert evaluation.challenger["mae"] != pytest.approx(errors.mean())


def test_slices_are_promised_where_they_are_asked_for() -> None:
    spec = with_monitoring(KIOSK, performance=Performance(slices=("weather",)))
    reference, training_set, challenger, _ = built(spec, sales(hours=tuple(range(12))))
    held = training_set.holdout
    rows, actual = training_set.rows[held], training_set.target[held].to_numpy()
    errors = abs(challenger.evaluated.predict(training_set.features[held]) - actual)
    warm = (rows["weather"] == "warm").to_numpy()
    assert set(reference.slices) == {"weather=warm", "weather=cold"}
    assert reference.slices["weather=warm"]["mae"] == pytest.approx(errors[warm].mean())


def test_a_snapshot_is_one_cell_with_all_predictions() -> None:
    reference, training_set, challenger, _ = built(IRIS, flowers(), "snapshot")
    assert len(reference.cells) == len(reference.prediction_cells) == 1
    predicted = pd.Series(challenger.final.predict(training_set.features))
    assert reference.prediction_cells.counts[0].tolist() == reference.predictions.count(predicted).tolist()
    assert (reference.by_partition, reference.level) == ({}, None)
    sure = challenger.evaluated.predict_proba(training_set.features[training_set.holdout]).max(axis=1)
    assert reference.expected == pytest.approx(sure.mean())  # the accuracy that is to be expected


def test_it_survives_its_file() -> None:
    spec = with_monitoring(KIOSK, performance=Performance(slices=("weather",)))
    reference, *_ = built(spec, sales(hours=tuple(range(12))))
    again = Reference.from_dict(json.loads(to_json(reference.to_dict())))
    assert again.to_dict() == reference.to_dict()
    assert again.binnings == reference.binnings
    assert (again.cells.counts == reference.cells.counts).all()
    assert (again.prediction_cells.counts == reference.prediction_cells.counts).all()


def test_numbers_that_are_not_finite_become_null() -> None:
    training_set, challenger, evaluation = trained(KIOSK, sales(), "2024-02-10")
    evaluation = replace(evaluation, challenger={**evaluation.challenger, "mae": np.nan})
    reference = build_reference(KIOSK, training_set, evaluation, challenger)
    assert reference.promised["mae"] is None
    json.dumps(reference.to_dict(), allow_nan=False)


def test_rows_are_kept_only_where_a_classifier_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    reference, *_ = built()
    assert (reference.sample, rows_file(reference)) == (None, {})
    spec = with_monitoring(KIOSK, drift=Drift(joint=0.7))
    reference, training_set, *_ = built(spec)
    assert len(reference.sample) == 160
    assert list(reference.sample.columns) == [*training_set.features.columns, PARTITION]
    monkeypatch.setattr("evergreen.monitoring.reference.SAMPLE", 50)
    fewer, again = built(spec)[0].sample, built(spec)[0].sample
    assert len(fewer) == 50
    pd.testing.assert_frame_equal(fewer, again)
    merged = fewer.merge(reference.sample, how="left", indicator=True)
    assert (merged["_merge"] == "both").all()
    assert SAMPLE == 10_000


@pytest.mark.parametrize("joint", [None, 0.7])
def test_a_version_holds_it(storage: Storage, joint: float | None) -> None:
    spec = with_monitoring(KIOSK, drift=Drift(joint=joint))
    training_set, challenger, evaluation = trained(spec, sales(), "2024-02-10")
    from evergreen.evaluation.gate import judge

    before = Predecessor("2024-01-20-0123456789ab", {"mae": 0.5, "r2": None})
    expected = build_reference(spec, training_set, evaluation, challenger, before)
    verdict = judge(spec, evaluation)
    files = version_files(
        spec, training_set, challenger, evaluation, verdict, reference=expected, asked=Asked(Together.ROW)
    )
    assert (ROWS in files) == (joint is not None)
    pipeline = Pipeline(spec, storage)
    pipeline.registry.commit(training_set.version, files)
    found = read_reference(pipeline.registry, training_set.version)
    assert found.to_dict() == expected.to_dict()
    assert found.before == before
    if joint:
        pd.testing.assert_frame_equal(found.sample, expected.sample)
    else:
        assert found.sample is None


def test_what_an_older_release_wrote_is_refused_with_the_remedy(storage: Storage) -> None:
    pipeline = Pipeline(KIOSK, storage)
    older = {"features": {"x": {"kind": "number", "edges": [1.0], "counts": [3, 4], "missing": 0}}}
    pipeline.registry.commit("2024-02-10-0123456789ab", {REFERENCE: json.dumps(older).encode()})
    with pytest.raises(IntegrityError, match=r"^version 2024-02-10-0123456789ab: .*train a new version$"):
        read_reference(pipeline.registry, "2024-02-10-0123456789ab")
