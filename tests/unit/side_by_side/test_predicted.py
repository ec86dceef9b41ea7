"""Two versions that are stored: what is read of them, and what both predict of the same rows."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from evergreen.errors import ChangedError, NotFoundError, UnavailableError
from evergreen.features.stored import feature_files
from evergreen.pipeline import Pipeline
from evergreen.registry.history import State
from evergreen.registry.model_file import dump_model
from evergreen.scoring.golden import Golden, golden_sample
from evergreen.side_by_side import predicted as module
from evergreen.side_by_side.predicted import ask_golden, predicted
from evergreen.side_by_side.read import read_sides
from tests.unit.scoring.conftest import change_features, commit, kiosk, sales, trained_on

__all__ = ["commit", "kiosk"]

Commit = Callable[..., str]
EARLY, LATE = "2024-01-12", "2024-01-20"


def test_what_both_keep_is_read_and_what_is_damaged_is_said(kiosk: Pipeline, commit: Commit):
    kept = {name.replace(".", "_"): body for name, body in feature_files(kiosk.spec, ["temperature"]).items()}
    early = commit(EARLY, metrics_json=b'{"mae": 2.0}', lineage_json=b"{}", **kept)
    late = commit(LATE, metrics_json=b'{"mae": 1.0}')
    kiosk.registry.promote(early, EARLY, {})
    kiosk.storage.stage(f"kiosk/models/{late}/metrics.json", b'{"mae": 0.0}')
    first, second = read_sides(kiosk, early, late)
    assert (first.state, first.metrics, first.problems) == (State.CHAMPION, {"mae": 2.0}, ())
    assert first.features is not None
    assert first.features.columns == ("temperature",)
    assert b"def build" in first.code["features.py:build"]
    assert (second.state, second.metrics, second.features) == (State.COMMITTED, {}, None)
    assert "metrics.json" in second.problems[0]
    with pytest.raises(NotFoundError):
        read_sides(kiosk, early, "2024-01-12-000000000000")


def test_both_predict_the_golden_rows_of_the_later_one_in_the_order_asked_for(
    kiosk: Pipeline, commit: Commit
):
    rows = sales()
    higher = trained_on(kiosk.spec, rows)
    higher.intercept_ += 5
    golden = golden_sample(kiosk.spec, higher, rows[rows["partition"] < EARLY])
    early = commit(EARLY, model_skops=dump_model(higher), golden_parquet=golden)
    late = commit(LATE)
    found = predicted(kiosk, late, early)
    assert (found.of, found.partition, found.what) == (late, "2024-01-19", "prediction")
    assert [row.first for row in found.rows] == Golden.of("kiosk", kiosk.registry, late).promised[
        "prediction"
    ]
    assert [row.change for row in found.rows] == pytest.approx([5.0] * 4)
    assert (found.equal, found.mean, found.most) == (0, pytest.approx(5.0), pytest.approx(5.0))
    assert [row.actual for row in found.rows] == rows[rows["partition"] == "2024-01-19"]["sold"].tolist()


def test_code_that_nobody_vouches_for_is_not_executed(
    kiosk: Pipeline, commit: Commit, configured: object, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(kiosk.spec.folder.parent))
    kept = feature_files(kiosk.spec, ["hour", "temperature", "level"])
    early = commit(EARLY, **{name.replace(".", "_"): body for name, body in kept.items()})
    change_features(kiosk, 'rows["at"].dt.hour', "0")
    with pytest.raises(ChangedError, match="its own code is not executed"):
        ask_golden("kiosk", early, early)


def test_one_pair_is_asked_at_a_time(kiosk: Pipeline, commit: Commit):
    early = commit(EARLY)
    with module._asking, pytest.raises(UnavailableError, match="kiosk: two versions are being asked already"):
        predicted(kiosk, early, early)
