"""The golden sample: what it holds, what breaks its promise, and the check by another process."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from evergreen.errors import IntegrityError
from evergreen.features.stored import feature_files
from evergreen.pipeline import Pipeline
from evergreen.registry.model_file import dump_model
from evergreen.scoring.afresh import check_afresh
from evergreen.scoring.checked_model import load_checked_model
from evergreen.scoring.golden import GOLDEN, check_golden, golden_sample
from evergreen.scoring.predict import partition_features, predict
from evergreen.scoring.published import read_published
from evergreen.spec import Task
from tests.unit.scoring.conftest import change_features, sales, trained_on

Commit = Callable[..., str]


def check(pipeline: Pipeline, version: str) -> None:
    check_golden(pipeline.spec, pipeline.registry, version, pipeline.registry.load(version))


def test_the_sample_is_the_newest_partition_with_its_look_back(kiosk: Pipeline) -> None:
    rows = sales(20)
    model = trained_on(kiosk.spec, rows)
    table = pq.read_table(pa.BufferReader(golden_sample(kiosk.spec, model, rows)))
    promised = table.column("prediction").to_pylist()
    assert table.column("partition").to_pylist() == [
        day for day in ("2024-01-17", "2024-01-18", "2024-01-19", "2024-01-20") for _ in range(4)
    ]
    assert promised[:12] == [None] * 12
    assert promised[12:] == predict(kiosk.spec, model, rows, "2024-01-20")["prediction"].tolist()


def test_a_sound_version_keeps_its_promise_here_and_in_another_process(
    kiosk: Pipeline, commit: Commit
) -> None:
    change_features(kiosk, "def build(rows", "print('printing hides no answer', end='')\ndef build(rows")
    version = commit()
    check(kiosk, version)
    check_afresh(kiosk, version)


def test_a_model_that_predicts_otherwise_breaks_it(kiosk: Pipeline, commit: Commit) -> None:
    rows = sales()
    features = partition_features(kiosk.spec, rows, "2024-01-11")
    other = LinearRegression().fit(features, np.arange(4))
    version = commit(model_skops=dump_model(other))
    for checked in (check, check_afresh):
        with pytest.raises(
            IntegrityError,
            match=r"^kiosk: version .*: 4 of 4 are predicted differently, the first .*: train a new",
        ) as refusal:
            checked(kiosk, version)
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('rows["temperature"]', 'rows["temperature"] + 1e-6', "4 of 4 are predicted differently"),
        ('"temperature": ', '"warmth": ', "other features"),
        ("def build(rows", "def build(rows, more", "TypeError"),
        ('rows["temperature"]', 'rows["no_such_column"]', "no_such_column"),
    ],
)
def test_changed_features_break_it_in_one_line(
    kiosk: Pipeline, commit: Commit, old: str, new: str, said: str
) -> None:
    version = commit()
    change_features(kiosk, old, new)
    with pytest.raises(IntegrityError, match=said) as refusal:
        check(kiosk, version)
    assert "\n" not in str(refusal.value)
    assert str(refusal.value).startswith(f"kiosk: version {version} does not predict its golden rows")


def test_features_that_come_to_the_same_keep_it(kiosk: Pipeline, commit: Commit) -> None:
    version = commit()
    change_features(kiosk, 'rows["temperature"]', 'rows["temperature"] * 1')
    check(kiosk, version)


def test_an_estimator_that_cannot_predict_any_more_breaks_it(kiosk: Pipeline, commit: Commit) -> None:
    version = commit()

    def trip(features: Any) -> None:
        raise AttributeError("no attribute '_of_a_later_release'")

    with pytest.raises(IntegrityError, match=r"features \(AttributeError: no attribute '_of_a_"):
        check_golden(kiosk.spec, kiosk.registry, version, SimpleNamespace(predict=trip))


def test_packages_that_changed_since_are_named(kiosk: Pipeline, commit: Commit) -> None:
    then = {"packages": {"scikit-learn": "1.0", "optuna": "2.0"}}
    version = commit(lineage_json=json.dumps(then).encode())
    check(kiosk, version)
    change_features(kiosk, 'rows["temperature"]', 'rows["temperature"] + 1')
    with pytest.raises(IntegrityError, match=r"\(scikit-learn 1.0 is now [\d.]+, optuna 2.0 is now [\d.]+\)"):
        check(kiosk, version)


def test_labels_must_be_the_very_same(kiosk: Pipeline) -> None:
    labels = SimpleNamespace(predict=lambda features: np.array(["a"] * len(features)))
    registry = {GOLDEN: golden_sample(kiosk.spec, labels, sales())}
    stored = SimpleNamespace(files=lambda version: registry, read=lambda version, name: registry[name])
    check_golden(kiosk.spec, stored, "v1", labels)  # type: ignore[arg-type]
    for other in (np.array(["a", "a", "a", "b"]), np.array([1, 2, 3, 4]), np.array(["a"] * 4 + ["b"])[:3]):
        model = SimpleNamespace(predict=lambda features, other=other: other)
        with pytest.raises(IntegrityError, match="does not predict its golden rows"):
            check_golden(kiosk.spec, stored, "v1", model)  # type: ignore[arg-type]


def test_a_version_without_a_sample_is_not_used(kiosk: Pipeline) -> None:
    kiosk.registry.commit(
        "2024-01-12-0123456789ab", {"model.skops": dump_model(trained_on(kiosk.spec, sales()))}
    )
    with pytest.raises(IntegrityError, match=r"has no golden sample .* evergreen train kiosk"):
        check(kiosk, "2024-01-12-0123456789ab")


@pytest.mark.parametrize("name", ["model.skops", GOLDEN])
def test_a_flipped_bit_is_found_before_anything_is_predicted(
    kiosk: Pipeline, commit: Commit, name: str
) -> None:
    version = commit()
    key = f"kiosk/models/{version}/{name}"
    sound = kiosk.storage.read(key).body
    kiosk.storage.stage(key, bytes([*sound[:100], sound[100] ^ 1, *sound[101:]]))
    with pytest.raises(IntegrityError, match=f"kiosk: version {version}: .*{name}"):
        load_checked_model(kiosk, version)


def test_another_class_may_be_called_positive_under_a_champion(kiosk: Pipeline) -> None:
    rows = sales(20)
    rows["sold"] = rows["sold"] > rows["sold"].median()
    spec = kiosk.spec.model_copy(update={"task": Task.CLASSIFICATION, "positive": True})
    days = [partition_features(spec, rows, f"2024-01-{day:02d}") for day in range(5, 12)]
    features = pd.concat(days)
    model = LogisticRegression().fit(features, rows.loc[features.index, "sold"])
    version = "2024-01-21-0123456789ab"
    files = {"model.skops": dump_model(model), "golden.parquet": golden_sample(spec, model, rows)}
    kiosk.registry.commit(version, {**files, **feature_files(spec, list(features))})
    of_true = model.predict_proba(days[-1])[:, 1].tolist()
    for positive in (True, False, None):
        described = kiosk.described_by(spec.model_copy(update={"positive": positive}))
        checked = load_checked_model(described, version)
        # What a version publishes is of the class that its own description called positive.
        found = predict(checked.pipeline.spec, checked.estimator, rows, "2024-01-11")
        assert found["probability"].tolist() == of_true
        said = read_published(checked.pipeline.spec, found, (False, True))
        assert said.probabilities is not None
        assert said.probabilities[:, 1].tolist() == of_true
    model.intercept_ += 0.01
    with pytest.raises(IntegrityError, match="values of 'probability' are predicted differently"):
        check_golden(spec, kiosk.registry, version, model)
