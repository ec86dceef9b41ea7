"""The training set that people get is the one that a training makes."""

from __future__ import annotations

import pandas as pd
import pytest

import evergreen
from evergreen.pipeline import Pipeline
from evergreen.training_set.assemble import assemble
from evergreen.training_set.read import read_window
from tests.unit.front_door.conftest import SCORED


def test_it_is_what_the_champion_was_trained_on(pipeline: evergreen.Pipeline, kiosk: Pipeline) -> None:
    found = pipeline.training_set(as_of=SCORED[0])
    champion = pipeline.champion()
    assert found.version == champion.version
    assert found.lineage["digests"] == champion.lineage["digests"]
    assert found.lineage["window"] == champion.lineage["window"]
    rows, versions = read_window(kiosk, SCORED[0])
    made = assemble(kiosk.spec, rows, SCORED[0], versions, {})
    pd.testing.assert_frame_equal(found.features, made.features, check_exact=True)
    pd.testing.assert_series_equal(found.target, made.target, check_exact=True)
    assert (found.holdout == made.holdout).all()


def test_what_it_has(pipeline: evergreen.Pipeline) -> None:
    found = pipeline.training_set(as_of=SCORED[0])
    assert list(found.features.columns) == ["hour", "temperature", "level"]
    assert len(found.features) == len(found.target) == len(found.holdout) == len(found.rows) == 19 * 4
    assert found.holdout.sum() == 3 * 4
    assert found.weights is None
    assert found.rows["partition"].max() == "2024-01-19"


def test_by_default_it_has_all_that_is_published(pipeline: evergreen.Pipeline) -> None:
    found = pipeline.training_set()
    assert (found.as_of, found.rows["partition"].max()) == ("2024-01-31", "2024-01-30")


def test_there_may_be_too_little_or_no_history(
    pipeline: evergreen.Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(evergreen.NothingToDoError, match="only 4 partitions are published"):
        pipeline.training_set(as_of="2024-01-05")
    with pytest.raises(evergreen.PartitionError):
        pipeline.training_set(as_of="may")
    monkeypatch.setenv("EVERGREEN_STORAGE", "s3://front-door/empty")
    with pytest.raises(evergreen.NotFoundError, match="ingest a partition first"):
        evergreen.open("kiosk").training_set(as_of="2024-01-20")
