"""How long a stage ran, noted beside its work, which a note never disturbs."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from evergreen.errors import IntegrityError, NothingToDoError, UnavailableError
from evergreen.pipeline import Pipeline
from evergreen.spec import parse_spec
from evergreen.stages import INGEST, SCORE, TRAIN
from evergreen.storage import Storage
from evergreen.timings import Timing, now, timed, timing_of

KIOSK = parse_spec(Path(__file__).parents[1] / "pipelines" / "kiosk" / "pipeline.yaml")
IRIS = parse_spec(Path(__file__).parents[2] / "include" / "pipelines" / "iris" / "pipeline.yaml")
DAY = "2024-01-05"


@pytest.fixture
def pipeline(storage: Storage) -> Pipeline:
    return Pipeline(KIOSK, storage)


def test_a_run_is_noted_with_its_rows_in_place_of_the_last(pipeline: Pipeline) -> None:
    assert timing_of(pipeline, SCORE, DAY) is None
    for rows in (3, 4):
        with timed(pipeline, SCORE, DAY) as timing:
            timing.rows = rows
    found = timing_of(pipeline, SCORE, DAY)
    assert found == timing
    assert found is not None
    assert (found.rows, found.failed) == (4, "")
    assert 0 <= found.seconds < 60
    assert pipeline.storage.list("kiosk/timings/") == [f"kiosk/timings/score/{DAY}.json"]


def test_a_run_of_several_tasks_is_measured_from_the_first(pipeline: Pipeline) -> None:
    with timed(pipeline, TRAIN, DAY) as timing:
        timing.began = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    assert 3600 <= timing.seconds < 3700
    assert datetime.fromisoformat(now()).tzinfo is not None


def test_a_failure_is_noted_with_its_kind_and_goes_on(pipeline: Pipeline) -> None:
    with pytest.raises(IntegrityError), timed(pipeline, SCORE, DAY):
        raise IntegrityError("kiosk: version x does not predict its golden rows")
    found = timing_of(pipeline, SCORE, DAY)
    assert found is not None
    assert found.failed == "IntegrityError: kiosk: version x does not predict its golden rows"


def test_what_others_raise_may_hold_a_secret_and_is_not_noted(pipeline: Pipeline) -> None:
    with pytest.raises(ValueError, match="hidden-word"), timed(pipeline, SCORE, DAY):
        raise ValueError("postgres://ann:hidden-word@db")
    found = timing_of(pipeline, SCORE, DAY)
    assert found is not None
    assert found.failed == "ValueError"


def test_nothing_to_do_is_no_run(pipeline: Pipeline) -> None:
    with pytest.raises(NothingToDoError), timed(pipeline, SCORE, DAY):
        raise NothingToDoError("no champion")
    assert timing_of(pipeline, SCORE, DAY) is None


def test_a_note_that_cannot_be_written_fails_nothing(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise UnavailableError("storage cannot be reached")

    monkeypatch.setattr(Storage, "stage", refuse)
    caplog.set_level(logging.WARNING)
    done = []
    with timed(pipeline, SCORE, DAY):
        done.append(1)
    assert done == [1]
    assert caplog.messages == [
        "kiosk 2024-01-05: how long score took is not recorded: storage cannot be reached"
    ]


def test_a_note_of_another_release_is_read_as_far_as_it_is_known(pipeline: Pipeline) -> None:
    body = json.dumps({"seconds": 2.5, "mood": "good"}).encode()
    pipeline.storage.stage(f"kiosk/timings/ingest/{DAY}.json", body)
    assert timing_of(pipeline, INGEST, DAY) == Timing(seconds=2.5)


def test_each_stage_notes_its_runs(storage: Storage) -> None:
    from evergreen.ingestion.stage import ingest, publish_staged, stage_source, stage_validated
    from evergreen.scoring.score import score
    from evergreen.training.stage import train

    pipeline = Pipeline(IRIS, storage)
    ingest(pipeline, ["snapshot"])
    train(pipeline, "snapshot", {"kind": "hand"})
    score(pipeline, "snapshot")
    for stage in (INGEST, TRAIN, SCORE):
        found = timing_of(pipeline, stage, "snapshot")
        assert found is not None, stage.name
        assert 0 < found.seconds < 300
        assert found.failed == ""
        assert found.rows == (150 if stage is SCORE else 0)

    stage_source(pipeline, ["snapshot"], "run", "flowers")
    stage_validated(pipeline, ["snapshot"], "run", datetime.now(UTC) - timedelta(hours=2))
    publish_staged(pipeline, ["snapshot"], "run")
    found = timing_of(pipeline, INGEST, "snapshot")
    assert found is not None
    assert 7200 <= found.seconds < 7500, "from when the run began, over all its tasks"


def test_the_tasks_of_a_training_are_measured_from_the_first(storage: Storage) -> None:
    from evergreen.ingestion.stage import ingest
    from evergreen.training.stage import (
        commit_version,
        stage_challenger,
        stage_evaluation,
        stage_training_set,
    )

    pipeline = Pipeline(IRIS, storage)
    ingest(pipeline, ["snapshot"])
    stage_training_set(pipeline, None, {"kind": "hand"}, "run")
    note = pipeline.staging("run").read_json("training.json")
    earlier = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    pipeline.staging("run").write_json("training.json", {**note, "began": earlier})
    stage_challenger(pipeline, "run")
    stage_evaluation(pipeline, "run")
    commit_version(pipeline, "run")
    found = timing_of(pipeline, TRAIN, "snapshot")
    assert found is not None
    assert 3600 <= found.seconds < 4000
    commit_version(pipeline, "run")
    again = timing_of(pipeline, TRAIN, "snapshot")
    assert again is not None
    assert again.seconds < 300, "a task that is run again much later only finds its work done"
