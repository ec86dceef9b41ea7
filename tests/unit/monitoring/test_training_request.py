"""Which trainings are asked for, over an S3 server in memory: each decision's at most once, and the first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.errors import NotFoundError, NothingToDoError
from evergreen.lake import Table
from evergreen.monitoring.policy import decide
from evergreen.monitoring.record import Decision, to_table
from evergreen.monitoring.training_request import (
    TrainingRequest,
    first_training_request,
    retraining_request,
    trainings,
    wanted,
)
from evergreen.pipeline import Pipeline
from evergreen.registry.model_file import dump_model
from evergreen.signals.record import Record
from evergreen.spec import parse_spec
from evergreen.storage import Storage

TESTS = Path(__file__).parents[2]
KIOSK = parse_spec(TESTS / "pipelines" / "kiosk" / "pipeline.yaml").model_copy(update={"scoring": None})
IRIS = parse_spec(TESTS.parent / "include" / "pipelines" / "iris" / "pipeline.yaml")


def day(number: int) -> str:
    return KIOSK.calendar.shift("2024-01-01", number)


@pytest.fixture
def pipeline(storage: Storage) -> Pipeline:
    return Pipeline(KIOSK, storage)


def publish(pipeline: Pipeline, first: int, last: int) -> None:
    at = pa.array([0], pa.timestamp("us", tz="UTC"))
    rows = pa.table({"at": at, "temperature": [1.0], "sold": [1.0]})
    pipeline.lake.replace(Table.PARTITIONS, {day(n): rows for n in range(first, last + 1)})


def commit(pipeline: Pipeline, number: int, digest: str = "0123456789ab") -> str:
    """A version as of a day that nobody has decided on yet."""
    from sklearn.linear_model import LinearRegression

    model = LinearRegression().fit(np.eye(3), np.arange(3.0))
    version = f"{day(number)}-{digest}"
    pipeline.registry.commit(version, {"model.skops": dump_model(model)})
    return version


def promote(pipeline: Pipeline, number: int) -> None:
    pipeline.registry.promote(commit(pipeline, number), day(number), {"kind": "first"})


def refuse(pipeline: Pipeline, *numbers: int) -> None:
    for number in numbers:
        pipeline.registry.refuse(commit(pipeline, number), day(number), {"kind": "performance"})


def record(number: int, error: float | None = 99.0, **changes: Any) -> Record:
    values: dict[str, Any] = {
        "partition": day(number),
        "version": f"{day(10)}-0123456789ab",
        "rows": 4,
        "labelled": 0 if error is None else 4,
        "metric": "mae",
        "error": error,
        "promised": 1.0,
        "level": 20.0,
        "promised_level": 20.0,
        "drifted_share": 0.0,
        "drift": {},
        "age": number,
        "history": 40,
    }
    return Record(**{**values, **changes})


def monitor(pipeline: Pipeline, number: int, error: float | None = 99.0, **changes: Any) -> Decision:
    """Decide on the day as after a week of that error, and write it down as the monitor does."""
    newest = record(number, error, **changes)
    week = [replace(newest, partition=day(n)) for n in range(max(number - 6, 0), number)]
    decision = decide(pipeline.spec, [*week, newest], trainings(pipeline))
    pipeline.lake.replace(Table.MONITORING, {newest.partition: to_table(newest, decision)})
    return decision


def why_not(ask: Callable[[], TrainingRequest]) -> str:
    with pytest.raises(NothingToDoError) as reason:
        ask()
    return str(reason.value)


# retraining


def test_a_request_carries_the_decision(pipeline: Pipeline) -> None:
    publish(pipeline, 0, 13)
    decision = monitor(pipeline, 13)
    assert retraining_request(pipeline, day(13)) == TrainingRequest(
        run_id=f"monitor__{day(13)}",
        as_of=day(14),
        reason={
            "kind": "performance",
            "sentence": decision.reason,
            "partition": day(13),
            "evidence": decision.evidence,
        },
        earlier=tuple(f"monitor__{day(n)}" for n in (12, 11, 10)),  # a cooldown of four days
    )


def test_the_kind_names_all_signals_that_fired(pipeline: Pipeline) -> None:
    publish(pipeline, 0, 13)
    monitor(pipeline, 13, history=8)
    assert retraining_request(pipeline, day(13)).reason["kind"] == "performance+staleness"


def test_a_no_is_nothing_to_do_with_its_reason(pipeline: Pipeline) -> None:
    publish(pipeline, 0, 13)
    decision = monitor(pipeline, 13, error=1.0)
    assert why_not(lambda: retraining_request(pipeline, day(13))) == f"kiosk 2024-01-14: {decision.reason}"


def test_only_the_newest_published_partition_retrains(pipeline: Pipeline) -> None:
    publish(pipeline, 0, 13)
    monitor(pipeline, 13)
    publish(pipeline, 14, 14)
    assert why_not(lambda: retraining_request(pipeline, day(13))) == (
        "kiosk 2024-01-14: no retraining for an older partition: the newest published is 2024-01-15"
    )


def test_what_is_not_monitored_is_named_with_its_remedy(pipeline: Pipeline) -> None:
    publish(pipeline, 0, 13)
    with pytest.raises(
        NotFoundError, match=r"not monitored: run evergreen monitor kiosk --partition 2024-01"
    ):
        retraining_request(pipeline, day(13))


def test_however_often_it_is_asked_and_decided_anew_one_decision_is_one_training(pipeline: Pipeline) -> None:
    publish(pipeline, 0, 13)
    promote(pipeline, 5)
    monitor(pipeline, 13, error=1.0)
    why_not(lambda: retraining_request(pipeline, day(13)))
    monitor(pipeline, 13)
    yes = retraining_request(pipeline, day(13))
    assert retraining_request(pipeline, day(13)) == yes  # the task retries
    monitor(pipeline, 13)
    assert retraining_request(pipeline, day(13)) == yes  # it is monitored again
    monitor(pipeline, 13, error=1.0)
    why_not(lambda: retraining_request(pipeline, day(13)))
    monitor(pipeline, 13, error=50.0)  # it flips, and flips back for other figures
    assert retraining_request(pipeline, day(13)).run_id == yes.run_id
    version = commit(pipeline, 14)
    done = f"kiosk 2024-01-14: the training that this decision asks for is done: {version}"
    assert why_not(lambda: retraining_request(pipeline, day(13))) == done  # it waits for a person
    refuse(pipeline, 14)
    assert monitor(pipeline, 13).retrain  # a training as of the next day changes nothing about this one
    assert why_not(lambda: retraining_request(pipeline, day(13))) == done


def test_a_training_that_waits_for_a_person_is_no_reason_for_the_next(pipeline: Pipeline) -> None:
    publish(pipeline, 0, 16)
    promote(pipeline, 5)
    commit(pipeline, 14)
    found = [(one.as_of, one.outcome) for one in trainings(pipeline)]
    assert found == [(day(5), "promoted"), (day(14), "waiting")]
    decision = monitor(pipeline, 16)
    assert not decision.retrain
    assert decision.evidence["last_training"] == day(14)


def test_an_open_circuit_asks_for_nothing_until_one_is_promoted(pipeline: Pipeline) -> None:
    publish(pipeline, 0, 39)
    promote(pipeline, 5)
    refuse(pipeline, 12, 20, 28)
    assert monitor(pipeline, 39).evidence["breaker"]["state"] == "open"
    assert why_not(lambda: retraining_request(pipeline, day(39))).endswith(
        "; the breaker is open: 3 challengers in a row were worse: train or promote one by hand, or wait for "
        f"the night of {day(55)} or for an error that has grown by 50%"
    )
    pipeline.registry.promote(f"{day(20)}-0123456789ab", day(20), {})
    assert monitor(pipeline, 39).evidence["breaker"]["state"] == "closed"
    assert retraining_request(pipeline, day(39)).as_of == day(40)


def test_a_snapshot_is_asked_for_once_for_each_state_of_its_data(storage: Storage) -> None:
    pipeline = Pipeline(IRIS, storage)
    run_ids = []
    for width in (1.0, 2.0):
        rows = pa.table({"flower": [1], "width": [width], "species": ["setosa"]})
        pipeline.lake.replace(Table.PARTITIONS, {"snapshot": rows})
        bad = record(0, 0.4, partition="snapshot", metric="accuracy", promised=0.95)
        decision = decide(IRIS, [bad], trainings(pipeline))
        pipeline.lake.replace(Table.MONITORING, {"snapshot": to_table(bad, decision)})
        request = retraining_request(pipeline, "snapshot")
        assert retraining_request(pipeline, "snapshot") == request
        assert request.as_of == "snapshot"
        run_ids.append(request.run_id)
        pipeline.registry.commit(f"snapshot-{width}", {"metrics.json": b"{}"})  # what was trained on it
    assert [run_id.rpartition("__v")[0] for run_id in run_ids] == ["monitor__snapshot"] * 2
    assert len(set(run_ids)) == 2


keys = st.integers(0, 40)


@given(st.sets(keys, min_size=1), st.sets(keys), st.booleans(), st.data())
def test_never_for_an_older_partition_and_never_twice(
    published: set[int], trained: set[int], retrain: bool, data: st.DataObject
) -> None:
    number = data.draw(st.sampled_from(sorted(published)))
    decision = Decision(day(number), retrain, "retrain: so it is", {"firing": ["drift"]})
    versions = [f"{day(n)}-0123456789ab" for n in sorted(trained, reverse=True)]
    try:
        request = wanted(KIOSK, decision, [day(n) for n in sorted(published)], versions)
    except NothingToDoError:
        assert not retrain or number < max(published) or number + 1 in trained
    else:
        assert retrain
        assert number == max(published)
        assert number + 1 not in trained
        assert (request.run_id, request.as_of) == (f"monitor__{day(number)}", day(number + 1))


# the first


def test_first_training(pipeline: Pipeline) -> None:
    assert "nothing is published yet" in why_not(lambda: first_training_request(pipeline))
    publish(pipeline, 0, 8)
    assert "9 partitions are published in the training window and a first training needs 10" in why_not(
        lambda: first_training_request(pipeline)
    )
    publish(pipeline, 9, 9)
    request = first_training_request(pipeline)
    assert (request.run_id, request.as_of) == (f"first__{day(10)}", day(10))
    assert request.reason == {
        "kind": "first",
        "sentence": "first training: 10 partitions are published and there is no champion yet",
    }
    assert first_training_request(pipeline) == request


def test_a_second_first_training_keeps_to_the_limits(pipeline: Pipeline) -> None:
    publish(pipeline, 0, 9)
    commit(pipeline, 10)
    assert why_not(lambda: first_training_request(pipeline)) == (
        "kiosk: no champion yet, and a training as of 2024-01-11 waits for a person to promote it"
    )
    refuse(pipeline, 10)
    assert why_not(lambda: first_training_request(pipeline)) == (
        "kiosk: no champion yet, and the challenger as of 2024-01-11 was worse; it can be promoted by hand"
    )
    publish(pipeline, 10, 12)
    assert why_not(lambda: first_training_request(pipeline)) == (
        "kiosk: no champion yet, and the last training was as of 2024-01-11 and the cooldown is 4 days: "
        "the night of 2024-01-14 may train again"
    )
    publish(pipeline, 13, 13)
    assert first_training_request(pipeline).as_of == day(14)
    promote(pipeline, 14)
    assert "there is a champion already" in why_not(lambda: first_training_request(pipeline))


def test_first_trainings_that_are_refused_in_a_row_open_the_circuit_too(pipeline: Pipeline) -> None:
    publish(pipeline, 0, 39)
    refuse(pipeline, 10, 20)
    assert first_training_request(pipeline).as_of == day(40)
    refuse(pipeline, 30)
    assert why_not(lambda: first_training_request(pipeline)) == (
        "kiosk: no champion yet, and the breaker is open: 3 challengers in a row were worse: train or "
        "promote one by hand, or wait for the night of 2024-02-27 or for an error that has grown by 50%"
    )


def test_history_outside_the_window_does_not_count(pipeline: Pipeline) -> None:
    publish(pipeline, 0, 8)
    publish(pipeline, 60, 60)
    assert "1 partitions are published in the training window" in why_not(
        lambda: first_training_request(pipeline)
    )
