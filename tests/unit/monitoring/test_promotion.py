"""The promotion of a challenger by its trial, over an S3 server in memory, and nights that are run again."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from evergreen.errors import NotFoundError, NothingToDoError
from evergreen.lake import Table
from evergreen.monitoring.promotion import promote_tried
from evergreen.monitoring.record import Decision
from evergreen.monitoring.reference import REFERENCE
from evergreen.monitoring.stage import monitor
from evergreen.monitoring.training_request import trainings
from evergreen.monitoring.trainings import on_trial
from evergreen.pipeline import Pipeline
from evergreen.registry.model_file import dump_model
from evergreen.scoring.checked_model import CheckedModel
from evergreen.scoring.golden import golden_sample
from evergreen.scoring.score import score
from evergreen.storage import Storage
from tests.unit.monitoring.test_stage import FEATURES, KIOSK, day, monitored, night, reference_of, rows_of

LAST = 16  # the fourth night since the challenger's training
SCORED_BY = "version"


def commit(
    pipeline: Pipeline,
    number: int,
    above: float,
    digest: str = "0123456789ab",
    more: Mapping[str, bytes] = {},
) -> str:
    """A version as of a day that predicts the temperature and so much `above` it, with `more` files."""
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 3)), columns=FEATURES)
    model = LinearRegression().fit(frame, frame["temperature"] + above)
    keys = [day(number - 1 - n % 10) for n in range(50)]
    days = [rows_of(n).to_pandas().assign(partition=day(n)) for n in (number - 1, number)]
    files = {
        "model.skops": dump_model(model),
        REFERENCE: json.dumps(reference_of(KIOSK, frame, keys, mae=5.0).to_dict()).encode(),
        "golden.parquet": golden_sample(KIOSK, model, pd.concat(days, ignore_index=True)),
    }
    version = f"{day(number)}-{digest}"
    pipeline.registry.commit(version, files | more)
    return version


def challenge(
    pipeline: Pipeline,
    number: int,
    above: float,
    digest: str = "0123456789ab",
    more: Mapping[str, bytes] = {},
) -> str:
    """A challenger that the gate left inconclusive."""
    version = commit(pipeline, number, above, digest, more)
    pipeline.registry.refuse(version, day(number), {"kind": "cusum", "verdict": "inconclusive"})
    return version


@pytest.fixture
def pipeline(storage: Storage) -> Pipeline:
    """Sales are the temperature and about 5: the champion as of day 10 is off by that."""
    pipeline = Pipeline(KIOSK, storage)
    extra = {n: 5 + np.random.default_rng(n).normal(scale=0.1) for n in range(30)}
    pipeline.lake.replace(Table.PARTITIONS, {day(n): rows_of(n, extra[n]) for n in range(LAST + 1)})
    pipeline.registry.promote(commit(pipeline, 10, 0.0), day(10), {"kind": "first"})
    return pipeline


def nights(pipeline: Pipeline, first: int, last: int) -> list[Decision]:
    return [night(pipeline, number) for number in range(first, last + 1)]


def scored_by(pipeline: Pipeline, number: int) -> str:
    table = pipeline.lake.read(Table.PREDICTIONS, day(number), day(number))
    return str(table.column(SCORED_BY)[0])


def add(pipeline: Pipeline, number: int) -> None:
    pipeline.lake.replace(Table.PARTITIONS, {day(number): rows_of(number, 5.0)})


def test_a_challenger_that_is_clear_is_promoted_from_the_next_partition_on(pipeline: Pipeline) -> None:
    champion, rival = pipeline.registry.champion(day(10)), challenge(pipeline, 13, 5.0)
    decisions = nights(pipeline, 10, LAST)
    assert [decision.promotes for decision in decisions] == [None] * 6 + [rival]
    assert [decision.evidence["trial"] is not None for decision in decisions] == [False] * 3 + [True] * 4
    last = decisions[-1]
    assert not last.retrain
    assert last.reason.startswith("promote the challenger on trial: ")
    assert f"challenger {rival} on trial is " in last.reason
    assert "better over 16 rows" in last.reason
    event = promote_tried(pipeline, day(LAST))
    assert (event.version, event.as_of, event.replaces) == (rival, day(LAST + 1), champion)
    assert event.reason["kind"] == "trial"
    assert event.reason["sentence"] == last.reason
    assert promote_tried(pipeline, day(LAST)) == event
    assert pipeline.registry.champion(day(LAST)) == champion
    add(pipeline, LAST + 1)
    assert night(pipeline, LAST + 1).promotes is None
    assert (scored_by(pipeline, LAST), scored_by(pipeline, LAST + 1)) == (champion, rival)


def test_a_night_run_again_decides_as_it_did(pipeline: Pipeline) -> None:
    challenge(pipeline, 13, 5.0)
    decisions = nights(pipeline, 10, LAST)
    promote_tried(pipeline, day(LAST))
    add(pipeline, LAST + 1)
    night(pipeline, LAST + 1)
    for number in (LAST, 13, 15):
        before = monitored(pipeline, number)
        assert night(pipeline, number) == decisions[number - 10]
        assert replace(monitored(pipeline, number), health={}) == replace(before, health={})


def test_an_older_partition_promotes_nothing(pipeline: Pipeline) -> None:
    champion, _ = pipeline.registry.champion(), challenge(pipeline, 13, 5.0)
    nights(pipeline, 10, LAST)
    with pytest.raises(NothingToDoError, match="no challenger on trial is clearly better"):
        promote_tried(pipeline, day(LAST - 1))
    add(pipeline, LAST + 1)
    with pytest.raises(NothingToDoError, match=f"the newest published is {day(LAST + 1)}"):
        promote_tried(pipeline, day(LAST))
    assert pipeline.registry.champion() == champion
    assert night(pipeline, LAST + 1).promotes  # the next night makes up for it


def test_a_partition_that_was_not_monitored_is_an_error(pipeline: Pipeline) -> None:
    with pytest.raises(NotFoundError):
        promote_tried(pipeline, day(LAST))


def test_what_was_rolled_back_stays_so(pipeline: Pipeline) -> None:
    champion, rival = pipeline.registry.champion(), challenge(pipeline, 13, 5.0)
    nights(pipeline, 10, LAST)
    promote_tried(pipeline, day(LAST))
    pipeline.registry.rollback()
    with pytest.raises(NothingToDoError, match=f"{rival} was rolled back and stays so"):
        promote_tried(pipeline, day(LAST))
    assert pipeline.registry.champion() == champion
    assert on_trial(KIOSK, trainings(pipeline)) is None


def test_another_champion_is_not_replaced(pipeline: Pipeline) -> None:
    challenge(pipeline, 13, 5.0)
    nights(pipeline, 10, LAST)
    other = commit(pipeline, 15, 4.0)
    pipeline.registry.promote(other, day(LAST), {"kind": "by hand"})
    with pytest.raises(NothingToDoError, match=other):
        promote_tried(pipeline, day(LAST))
    assert pipeline.registry.champion() == other


def test_a_newer_inconclusive_challenger_begins_anew(pipeline: Pipeline) -> None:
    challenge(pipeline, 12, 5.0)
    nights(pipeline, 10, 13)
    newer = challenge(pipeline, 14, 4.0, "ba9876543210")
    found = nights(pipeline, 14, LAST)[-1]
    assert found.promotes is None
    assert found.evidence["trial"]["version"] == newer
    assert found.evidence["trial"]["units"] == LAST - 13


def test_a_challenger_that_is_worse_stays_out(pipeline: Pipeline) -> None:
    challenge(pipeline, 13, -20.0)
    found = nights(pipeline, 10, LAST)[-1]
    assert found.promotes is None
    assert found.evidence["trial"]["outcome"] == "worse"


def test_a_challenger_that_cannot_be_loaded_ends_its_trial_with_a_warning(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    rival = challenge(pipeline, 13, 5.0)
    nights(pipeline, 10, 14)
    pipeline.storage.stage(f"{pipeline.name}/models/{rival}/model.skops", b"damaged")
    with caplog.at_level(logging.WARNING):
        found = nights(pipeline, 15, LAST)[-1]
    assert f"the trial of {rival} ends" in caplog.text
    assert found.promotes is None
    assert monitored(pipeline, LAST).trial == {}


def test_a_challenger_that_fails_on_a_night_ends_its_trial_with_a_warning(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    rival = challenge(pipeline, 13, 5.0)
    nights(pipeline, 10, 14)
    score(pipeline, day(15))
    other = LinearRegression().fit(pd.DataFrame({"pressure": [1.0, 2.0]}), [1.0, 2.0])
    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING):
        patched.setattr(
            "evergreen.monitoring.stage.load_checked_model",
            lambda given, name: CheckedModel(name, other, given),
        )
        monitor(pipeline, day(15))
    assert f"{day(15)}: the trial of {rival} ends" in caplog.text
    assert "pressure" in monitored(pipeline, 15).trial["failed"]
    assert monitored(pipeline, 15).error is not None
    assert night(pipeline, LAST).evidence["trial"] is None
