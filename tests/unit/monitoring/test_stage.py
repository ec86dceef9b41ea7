"""The stage `monitor` over an S3 server in memory: records, decisions, and which trainings are asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import LinearRegression

from evergreen.errors import NotFoundError, NothingToDoError
from evergreen.lake import Table
from evergreen.monitoring.drift import histogram
from evergreen.monitoring.stage import first_training_request, monitor, retraining_request
from evergreen.pipeline import Pipeline
from evergreen.registry.model_file import dump_model
from evergreen.scoring.golden import golden_sample
from evergreen.scoring.score import score
from evergreen.spec import parse_spec
from evergreen.storage import Storage

TESTS = Path(__file__).parents[2]
KIOSK = parse_spec(TESTS / "pipelines" / "kiosk" / "pipeline.yaml").model_copy(update={"scoring": None})
IRIS = parse_spec(TESTS.parent / "include" / "pipelines" / "iris" / "pipeline.yaml")
FEATURES = ["hour", "temperature", "level"]


def day(number: int) -> str:
    return KIOSK.calendar.shift("2024-01-01", number)


def rows_of(number: int, extra: float = 0.0) -> pa.Table:
    """A day whose sales are its temperature, and `extra`."""
    hours = [pd.Timestamp(day(number), tz="UTC") + pd.Timedelta(hours=h) for h in (6, 10, 14, 18)]
    temperature = 20 + np.random.default_rng(number).normal(size=4)
    at = pa.array(hours, pa.timestamp("us", tz="UTC"))
    return pa.table({"at": at, "temperature": temperature, "sold": temperature + extra})


@pytest.fixture
def pipeline(storage: Storage) -> Pipeline:
    return Pipeline(KIOSK, storage)


def publish(pipeline: Pipeline, first: int, last: int, extra: float = 0.0) -> None:
    pipeline.lake.replace(Table.PARTITIONS, {day(n): rows_of(n, extra) for n in range(first, last + 1)})


def promote(pipeline: Pipeline, number: int, refused: bool = False) -> str:
    """A version that predicts the temperature, as of a day."""
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 3)), columns=FEATURES)
    model = LinearRegression().fit(frame, frame["temperature"])
    reference = {
        "features": {name: histogram(frame[name]) for name in FEATURES},
        "predictions": None,
        "promised": {"mae": 1.0},
        "level": 20.0,
        "rows": 50,
    }
    version = f"{day(number)}-0123456789ab"
    days = [rows_of(n).to_pandas().assign(partition=day(n)) for n in (number - 1, number)]
    golden = golden_sample(KIOSK, model, pd.concat(days, ignore_index=True))
    files = {"model.skops": dump_model(model), "reference.json": json.dumps(reference).encode()}
    files["golden.parquet"] = golden
    pipeline.registry.commit(version, files)
    (pipeline.registry.refuse if refused else pipeline.registry.promote)(version, day(number), {})
    return version


def night(pipeline: Pipeline, number: int) -> Any:
    score(pipeline, day(number))
    return monitor(pipeline, day(number))


def test_a_good_night_and_a_change(pipeline: Pipeline) -> None:
    publish(pipeline, 0, 11)
    version = promote(pipeline, 10)
    publish(pipeline, 12, 15, extra=5.0)
    decisions = [night(pipeline, n) for n in range(10, 15)]
    assert [d.retrain for d in decisions] == [False, False, False, True, True]
    assert decisions[3].reason == (
        "retrain: mae 3.333 over the last 3 partitions against 1 promised (tolerance 50%); "
        "last trained as of 2024-01-11"
    )
    table = pipeline.lake.read(Table.MONITORING, day(14), day(14)).to_pylist()[0]
    assert (table["version"], table["rows"], table["metric"], table["promised"]) == (version, 4, "mae", 1.0)
    assert table["error"] == pytest.approx(5.0)
    assert (table["age"], table["history"]) == (5, 15)
    assert (table["retrain"], table["reason"]) == (True, decisions[4].reason)
    assert json.loads(table["evidence"])["signals"]["performance"]["error"] == pytest.approx(5.0)
    assert set(json.loads(table["drift"])) == set(FEATURES)


def test_monitoring_again_later_decides_the_same(pipeline: Pipeline) -> None:
    publish(pipeline, 0, 16, extra=5.0)
    promote(pipeline, 10)
    before = [night(pipeline, n) for n in range(10, 15)]
    promote(pipeline, 13)
    promote(pipeline, 15, refused=True)
    night(pipeline, 16)
    version = pipeline.lake.version(Table.MONITORING)
    assert [monitor(pipeline, day(n)) for n in range(10, 13)] == before[:3]
    assert pipeline.lake.version(Table.MONITORING) == version


def test_a_retraining_is_asked_for_once_and_only_for_the_newest(pipeline: Pipeline) -> None:
    publish(pipeline, 0, 13, extra=5.0)
    promote(pipeline, 10)
    for number in range(10, 14):
        decision = night(pipeline, number)
    request = retraining_request(pipeline, day(13))
    assert (request.run_id, request.as_of) == (f"monitor__{day(13)}", day(14))
    assert request.reason == {
        "kind": "drift",
        "sentence": decision.reason,
        "partition": day(13),
        "evidence": decision.evidence,
    }
    assert retraining_request(pipeline, day(13)) == request
    publish(pipeline, 14, 14)
    with pytest.raises(NothingToDoError, match=r"older partition: the newest published is 2024-01-15"):
        retraining_request(pipeline, day(13))


def test_a_no_is_nothing_to_do_with_its_reason(pipeline: Pipeline) -> None:
    publish(pipeline, 0, 10)
    promote(pipeline, 10)
    decision = night(pipeline, 10)
    with pytest.raises(NothingToDoError, match="no retraining: 1 of the 3 partitions") as refusal:
        retraining_request(pipeline, day(10))
    assert decision.reason in str(refusal.value)


def test_what_is_missing_is_named_with_its_remedy(pipeline: Pipeline) -> None:
    with pytest.raises(NotFoundError, match=r"kiosk 2024-01-11: .*not published: run evergreen ingest"):
        monitor(pipeline, day(10))
    publish(pipeline, 0, 10)
    with pytest.raises(NothingToDoError, match=r"no champion was in force"):
        monitor(pipeline, day(10))
    promote(pipeline, 10)
    with pytest.raises(NotFoundError, match=r"not scored: run evergreen score kiosk --partition 2024-01-11"):
        monitor(pipeline, day(10))
    with pytest.raises(NotFoundError, match=r"not monitored: run evergreen monitor kiosk"):
        retraining_request(pipeline, day(10))


def test_first_training(pipeline: Pipeline) -> None:
    with pytest.raises(NothingToDoError, match="nothing is published yet"):
        first_training_request(pipeline)
    publish(pipeline, 0, 8)
    with pytest.raises(NothingToDoError, match=r"9 partitions are published .* needs 10"):
        first_training_request(pipeline)
    publish(pipeline, 9, 9)
    request = first_training_request(pipeline)
    assert (request.run_id, request.as_of) == (f"first__{day(10)}", day(10))
    assert request.reason["kind"] == "first"
    promote(pipeline, 10, refused=True)
    with pytest.raises(NothingToDoError, match=r"as of 2024-01-11 was refused already"):
        first_training_request(pipeline)
    publish(pipeline, 10, 12)
    with pytest.raises(NothingToDoError, match=r"the cooldown of 4 partitions ends with 2024-01-15"):
        first_training_request(pipeline)
    publish(pipeline, 13, 13)
    assert first_training_request(pipeline).as_of == day(14)
    promote(pipeline, 14)
    with pytest.raises(NothingToDoError, match="there is a champion already"):
        first_training_request(pipeline)


def test_history_outside_the_window_does_not_count(pipeline: Pipeline) -> None:
    publish(pipeline, 0, 8)
    publish(pipeline, 60, 60)
    with pytest.raises(NothingToDoError, match=r"1 partitions are published in the training window"):
        first_training_request(pipeline)


def test_a_snapshot_is_asked_for_once_for_each_state_of_its_data(storage: Storage) -> None:
    pipeline = Pipeline(IRIS, storage)
    frame = pd.DataFrame({"width": np.arange(20.0)})
    rows = {
        "flower": list(range(20)),
        "width": frame["width"],
        "species": ["setosa"] * 10 + ["virginica"] * 10,
    }
    pipeline.lake.replace(Table.PARTITIONS, {"snapshot": pa.table(rows)})
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression().fit(frame, rows["species"])
    reference = {
        "features": {"width": histogram(frame["width"])},
        "predictions": None,
        "promised": {"accuracy": 1.0},
        "level": None,
    }
    files = {"model.skops": dump_model(model), "reference.json": json.dumps(reference).encode()}
    files["golden.parquet"] = golden_sample(IRIS, model, pd.DataFrame(rows).assign(partition="snapshot"))
    pipeline.registry.commit("snapshot-0123456789ab", files)
    pipeline.registry.promote("snapshot-0123456789ab", "snapshot", {})
    score(pipeline, "snapshot")
    assert not monitor(pipeline, "snapshot").retrain
    pipeline.lake.replace(
        Table.PARTITIONS, {"snapshot": pa.table({**rows, "species": rows["species"][::-1]})}
    )
    score(pipeline, "snapshot")
    assert monitor(pipeline, "snapshot").retrain
    request = retraining_request(pipeline, "snapshot")
    version = pipeline.lake.version(Table.PARTITIONS)
    assert (request.run_id, request.as_of) == (f"monitor__snapshot__v{version}", "snapshot")
