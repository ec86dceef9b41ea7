"""The stage `monitor` over an S3 server in memory: records, labels that come late, and what is run again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from evergreen.alerts.conditions import conditions
from evergreen.calendar import Length
from evergreen.drift.binning import binning
from evergreen.errors import IntegrityError, NotFoundError, NothingToDoError
from evergreen.lake import Table
from evergreen.monitoring.cells import count_cells
from evergreen.monitoring.promise import Predecessor
from evergreen.monitoring.record import SCHEMA, WITHOUT_LABELS, Decision, decisions_in, records_in
from evergreen.monitoring.reference import PREDICTIONS, REFERENCE, Reference
from evergreen.monitoring.stage import monitor
from evergreen.pipeline import Pipeline
from evergreen.registry.model_file import dump_model
from evergreen.request_log.columns import logged_columns
from evergreen.request_log.store import Kind, RequestLog
from evergreen.scoring.golden import golden_sample
from evergreen.scoring.score import score
from evergreen.serving.look_back import look_back_digest
from evergreen.signals.record import Record
from evergreen.spec import Log, Serving, Spec, parse_spec
from evergreen.storage import Storage

TESTS = Path(__file__).parents[2]
KIOSK = parse_spec(TESTS / "pipelines" / "kiosk" / "pipeline.yaml").model_copy(update={"scoring": None})
LENDER = parse_spec(TESTS / "pipelines" / "lender" / "pipeline.yaml")
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


def reference_of(spec: Spec, frame: pd.DataFrame, keys: list[str], **promised: float) -> Reference:
    """The reference of features on some days; nothing is promised of predictions."""
    made = {str(name): binning(values) for name, values in frame.items()}
    return Reference(
        binnings=made,
        cells=count_cells(spec.calendar, made, frame, pd.Series(keys)),
        predictions=None,
        prediction_cells=None,
        promised=dict(promised),
        by_partition={},
        slices={},
        level=20.0,
        rows=len(frame),
    )


def promote(pipeline: Pipeline, number: int, refused: bool = False, before: Predecessor | None = None) -> str:
    """A version that predicts the temperature, as of a day."""
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 3)), columns=FEATURES)
    model = LinearRegression().fit(frame, frame["temperature"])
    keys = [day(number - 1 - n % 10) for n in range(50)]
    reference = json.dumps(replace(reference_of(KIOSK, frame, keys, mae=1.0), before=before).to_dict())
    version = f"{day(number)}-0123456789ab"
    days = [rows_of(n).to_pandas().assign(partition=day(n)) for n in (number - 1, number)]
    golden = golden_sample(KIOSK, model, pd.concat(days, ignore_index=True))
    files = {"model.skops": dump_model(model), REFERENCE: reference.encode(), "golden.parquet": golden}
    pipeline.registry.commit(version, files)
    (pipeline.registry.refuse if refused else pipeline.registry.promote)(version, day(number), {})
    return version


def night(pipeline: Pipeline, number: int) -> Decision:
    score(pipeline, day(number))
    return monitor(pipeline, day(number))


def monitored(pipeline: Pipeline, number: int) -> Record:
    (record,) = records_in(pipeline.lake.read(Table.MONITORING, day(number), day(number)))
    return record


def test_a_good_night_and_a_change(pipeline: Pipeline) -> None:
    publish(pipeline, 0, 11)
    version = promote(pipeline, 10)
    publish(pipeline, 12, 15, extra=5.0)
    decisions = [night(pipeline, n) for n in range(10, 15)]
    assert [d.retrain for d in decisions] == [False, False, False, True, True]
    assert decisions[3].reason.startswith("retrain: mean absolute error 3.33")
    record = monitored(pipeline, 14)
    assert (record.version, record.rows, record.metric, record.promised) == (version, 4, "mae", 1.0)
    assert record.error == record.absolute == pytest.approx(5.0)
    assert record.bias == pytest.approx(-5.0)
    assert (record.age, record.history) == (5, 15)
    assert set(record.drift) == set(record.counts) - {PREDICTIONS} == set(FEATURES)
    assert record.health["age"] == 5
    assert decisions_in(pipeline.lake.read(Table.MONITORING, day(14), day(14))) == [decisions[4]]
    assert decisions[4].evidence["signals"]["performance"]["error"] == pytest.approx(5.0)


def test_what_the_champion_before_promised_is_kept_with_the_night(pipeline: Pipeline) -> None:
    publish(pipeline, 0, 11)
    before = Predecessor("2024-01-05-0123456789ab", {"mae": 0.25})
    promote(pipeline, 10, before=before)
    decision = night(pipeline, 10)
    assert monitored(pipeline, 10).before == {"version": before.version, "promised": 0.25}
    said = f"mean absolute error 1.00 against 0.250 promised by its predecessor {before.version}"
    assert f"the champion promises {said}" in decision.reason


def test_small_nights_are_pooled_with_the_records_before(pipeline: Pipeline) -> None:
    publish(pipeline, 0, 14)
    promote(pipeline, 10)
    for number in range(10, 15):
        night(pipeline, number)
    # Of the training days before day 10 there are 50 rows in the reference, of the nights 4 each.
    first, last = (monitored(pipeline, number).drift["temperature"]["rows"] for number in (10, 14))
    assert last / first == pytest.approx((50 + 5 * 4) / (50 + 4))


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


def test_what_is_missing_is_named_with_its_remedy(pipeline: Pipeline) -> None:
    with pytest.raises(NotFoundError, match=r"kiosk 2024-01-11: .*not published: run evergreen ingest"):
        monitor(pipeline, day(10))
    publish(pipeline, 0, 10)
    with pytest.raises(NothingToDoError, match=r"no champion was in force"):
        monitor(pipeline, day(10))
    promote(pipeline, 10)
    with pytest.raises(NotFoundError, match=r"not scored: run evergreen score kiosk --partition 2024-01-11"):
        monitor(pipeline, day(10))


def test_rows_that_changed_since_they_were_scored(pipeline: Pipeline) -> None:
    publish(pipeline, 0, 10)
    promote(pipeline, 10)
    score(pipeline, day(10))
    pipeline.lake.replace(Table.PARTITIONS, {day(10): rows_of(10).slice(1)})
    with pytest.raises(NotFoundError, match=r"rows have changed since .*: run evergreen score kiosk --part"):
        monitor(pipeline, day(10))


def test_a_reference_of_an_older_release_asks_for_a_training(pipeline: Pipeline) -> None:
    publish(pipeline, 0, 10)
    frame = pd.DataFrame(np.zeros((9, 3)), columns=FEATURES)
    model = LinearRegression().fit(frame, frame["level"])
    version = f"{day(10)}-0123456789ab"
    days = [rows_of(n).to_pandas().assign(partition=day(n)) for n in (9, 10)]
    files = {
        "model.skops": dump_model(model),
        REFERENCE: b'{"features": {}, "promised": {}}',
        "golden.parquet": golden_sample(KIOSK, model, pd.concat(days, ignore_index=True)),
    }
    pipeline.registry.commit(version, files)
    pipeline.registry.promote(version, day(10), {})
    with pytest.raises(
        IntegrityError, match=rf"^kiosk: version {version}: .*train a new version: evergreen train kiosk$"
    ):
        night(pipeline, 10)


def test_a_table_of_an_older_release_gains_its_columns(pipeline: Pipeline) -> None:
    publish(pipeline, 0, 13)
    promote(pipeline, 10)
    older = [
        *("version", "rows", "labelled", "metric", "error", "promised", "level", "promised_level"),
        *("drifted_share", "drift", "age", "history", "retrain", "reason", "evidence"),
    ]
    row = {
        **dict.fromkeys(older),
        "version": f"{day(10)}-0123456789ab",
        "rows": 4,
        "labelled": 4,
        "metric": "mae",
        "error": 99.0,
        "drift": '{"x": {"psi": 1.0, "bound": 0.1, "drifted": true}}',
        "reason": "no retraining: as it was",
        "retrain": False,
        "evidence": "{}",
    }
    schema = pa.schema([SCHEMA.field(name) for name in older])
    pipeline.lake.replace(Table.MONITORING, {day(10): pa.Table.from_pylist([row], schema=schema)})
    assert not night(pipeline, 11).retrain
    assert pipeline.lake.schema(Table.MONITORING) == SCHEMA
    assert not night(pipeline, 12).retrain
    kept = pipeline.lake.read(Table.MONITORING, day(10), day(10)).to_pylist()[0]
    assert {name: kept[name] for name in older} == row
    assert kept["counts"] is None
    version = pipeline.lake.version(Table.MONITORING)
    monitor(pipeline, day(11)), monitor(pipeline, day(12))
    assert pipeline.lake.version(Table.MONITORING) == version
    night(pipeline, 10)  # measured again, it is a record as any other
    assert monitored(pipeline, 10).counts


# Labels that come five days later

DELAY = 5
LOANS = 12


def loans(number: int) -> pd.DataFrame:
    """A day's loans; large ones are repaid late, from day 32 on those that are small."""
    draw = np.random.default_rng(number)
    at = [pd.Timestamp(f"{day(number)}T09:00Z") + pd.Timedelta(minutes=n) for n in range(LOANS)]
    amount = draw.uniform(1, 9, LOANS)
    frame = pd.DataFrame({"loan": number * 100 + np.arange(LOANS), "amount": amount})
    frame["granted_at"] = pd.DatetimeIndex(at).as_unit("us")
    return frame.assign(income=draw.uniform(4, 6, LOANS), late=(amount > 5) != (number >= 32))


@pytest.fixture
def lender(storage: Storage) -> Pipeline:
    """Thirty days of loans, the labels of the first 25, and a champion as of day 30."""
    return opened(storage)


def opened(storage: Storage) -> Pipeline:
    pipeline = Pipeline(LENDER, storage)
    grant(pipeline, *range(30))
    repay(pipeline, *range(25))
    rows = pd.concat([loans(n).assign(partition=day(n)) for n in range(25)], ignore_index=True)
    features = rows[["amount", "income"]]
    model = LogisticRegression().fit(features, rows["late"])
    sure = float(model.predict_proba(features).max(axis=1).mean())
    reference = reference_of(LENDER, features, rows["partition"].tolist(), accuracy=sure)
    by_partition = {day(n): sure - 0.02 * (n % 2) for n in range(21, 25)}
    known = {"classes": (False, True), "model_classes": (False, True)}
    plain = replace(reference, expected=sure, level=None, by_partition=by_partition, **known).to_dict()
    unlabelled = rows.drop(columns="late")
    version = f"{day(30)}-0123456789ab"
    files = {
        "model.skops": dump_model(model),
        REFERENCE: json.dumps(plain).encode(),
        "golden.parquet": golden_sample(LENDER, model, unlabelled),
    }
    pipeline.registry.commit(version, files)
    pipeline.registry.promote(version, day(30), {})
    return pipeline


def grant(pipeline: Pipeline, *numbers: int) -> None:
    tables = {
        day(n): pa.Table.from_pandas(loans(n).drop(columns="late"), preserve_index=False) for n in numbers
    }
    pipeline.lake.replace(Table.PARTITIONS, tables)


def repay(pipeline: Pipeline, *numbers: int) -> None:
    tables = {
        day(n): pa.Table.from_pandas(loans(n)[["loan", "granted_at", "late"]], preserve_index=False)
        for n in numbers
    }
    pipeline.lake.replace(Table.LABELS, {key: t.select(["loan", "late"]) for key, t in tables.items()})


def nights(pipeline: Pipeline, *numbers: int) -> list[Decision]:
    """The nights of some days, each with the labels of five days before."""
    decisions = []
    for number in numbers:
        grant(pipeline, number)
        repay(pipeline, number - DELAY)
        decisions.append(night(pipeline, number))
    return decisions


def test_labels_fill_in_the_record_of_their_day(lender: Pipeline) -> None:
    decisions = nights(lender, *range(30, 35))
    first = monitored(lender, 30)
    assert (first.labelled, first.error, first.rows) == (0, None, LOANS)
    assert first.estimated is not None
    nights(lender, 35)
    filled = monitored(lender, 30)
    assert filled.labelled == LOANS
    assert filled.error == pytest.approx(1, abs=0.2)
    assert {**vars(filled), **WITHOUT_LABELS} == vars(first)
    assert monitored(lender, 31).labelled == 0
    assert decisions_in(lender.lake.read(Table.MONITORING, day(30), day(30))) == [decisions[0]]


def test_both_records_of_a_night_are_one_commit(lender: Pipeline) -> None:
    nights(lender, *range(30, 35))
    grant(lender, 35), repay(lender, 30), score(lender, day(35))
    version = lender.lake.version(Table.MONITORING)
    monitor(lender, day(35))
    assert lender.lake.version(Table.MONITORING) == version + 1
    assert (monitored(lender, 30).labelled, monitored(lender, 35).labelled) == (LOANS, 0)


def test_nights_run_again_in_any_order_change_nothing(lender: Pipeline) -> None:
    decisions = nights(lender, *range(30, 37))
    before = lender.lake.read(Table.MONITORING)
    version = lender.lake.version(Table.MONITORING)
    order = np.random.default_rng(0).permutation(7).tolist()
    again = {number: monitor(lender, day(30 + number)) for number in order}
    assert [again[number] for number in range(7)] == decisions
    assert lender.lake.version(Table.MONITORING) == version
    assert lender.lake.read(Table.MONITORING).equals(before)
    assert [record.labelled for record in records_in(before)] == [LOANS] * 2 + [0] * 5


def test_nights_in_another_order_end_with_the_same_labels(lender: Pipeline) -> None:
    grant(lender, *range(30, 37)), repay(lender, *range(25, 32))
    for number in (36, 30, 35, 31):
        night(lender, number)
    labelled = [monitored(lender, number).labelled for number in (30, 31, 35, 36)]
    assert labelled == [LOANS, LOANS, 0, 0]


def test_labels_whose_own_night_never_was_are_filled_in_by_the_next(lender: Pipeline) -> None:
    nights(lender, *range(30, 35))
    grant(lender, 35), repay(lender, 30)  # day 35 is published and never monitored
    nights(lender, 36)
    assert [monitored(lender, number).labelled for number in (30, 31, 32)] == [LOANS, LOANS, 0]
    before = lender.lake.read(Table.MONITORING)
    monitor(lender, day(30))
    assert lender.lake.read(Table.MONITORING).equals(before)


def test_labels_that_come_later_than_their_delay_are_filled_in_when_they_are_there(lender: Pipeline) -> None:
    nights(lender, *range(30, 35))
    for number in (35, 36):
        grant(lender, number), repay(lender, number - DELAY if number == 36 else 25)
        night(lender, number)
    assert [monitored(lender, number).labelled for number in (30, 31)] == [0, LOANS]
    repay(lender, 30)
    nights(lender, 37)
    assert [monitored(lender, number).labelled for number in (30, 31, 32)] == [LOANS, LOANS, LOANS]


def test_a_decision_knows_no_label_before_its_time(lender: Pipeline) -> None:
    decisions = nights(lender, *range(30, 41))
    # From day 32 on the champion is wrong; the first to tell are the labels read in the night of day 37.
    errors = [monitored(lender, number).error for number in range(30, 36)]
    assert min(errors[:2]) > 0.7
    assert max(errors[2:]) < 0.3
    fired = [bool({"performance", "cusum"} & set(decision.evidence["firing"])) for decision in decisions]
    assert not any(fired[:7])
    assert any(fired[7:])
    # With all labels there by now, each night still decides by those that it knew.
    assert monitor(lender, day(36)) == decisions[6]


def test_without_any_labels_a_night_is_measured_all_the_same(lender: Pipeline) -> None:
    grant(lender, 30)
    lender.lake.replace(
        Table.LABELS, {day(n): lender.lake.schema(Table.LABELS).empty_table() for n in range(26)}
    )
    repay(lender, 25)
    night(lender, 30)
    assert monitored(lender, 30).labelled == 0


def test_a_snapshot_has_one_record(storage: Storage) -> None:
    pipeline = Pipeline(IRIS, storage)
    frame = pd.DataFrame({"width": np.arange(20.0)})
    rows = {
        "flower": list(range(20)),
        "width": frame["width"],
        "species": ["setosa"] * 10 + ["virginica"] * 10,
    }
    pipeline.lake.replace(Table.PARTITIONS, {"snapshot": pa.table(rows)})
    model = LogisticRegression().fit(frame, rows["species"])
    reference = reference_of(IRIS, frame, ["snapshot"] * 20, accuracy=1.0)
    files = {"model.skops": dump_model(model), REFERENCE: json.dumps(reference.to_dict()).encode()}
    files["golden.parquet"] = golden_sample(IRIS, model, pd.DataFrame(rows).assign(partition="snapshot"))
    pipeline.registry.commit("snapshot-0123456789ab", files)
    pipeline.registry.promote("snapshot-0123456789ab", "snapshot", {})
    score(pipeline, "snapshot")
    assert not monitor(pipeline, "snapshot").retrain
    swapped = {**rows, "species": rows["species"][::-1]}
    pipeline.lake.replace(Table.PARTITIONS, {"snapshot": pa.table(swapped)})
    score(pipeline, "snapshot")
    assert monitor(pipeline, "snapshot").retrain
    assert len(records_in(pipeline.lake.read(Table.MONITORING))) == 1


def ask(pipeline: Pipeline, number: int) -> RequestLog:
    """Log a scored day as a server answers it: its rows, and what the night has predicted."""
    partition, log = day(number), RequestLog(pipeline.storage, pipeline.name)
    rows = pipeline.lake.read(Table.PARTITIONS, partition, partition).drop_columns(["sold", "partition"])
    said = pipeline.lake.read(Table.PREDICTIONS, partition, partition)
    answers = [msgspec.json.encode({"prediction": one}).decode() for one in said["prediction"].to_pylist()]
    files = pipeline.lake.files(Table.PARTITIONS)
    digest = look_back_digest(files, pipeline.spec.looks_back_to(partition), partition)
    versions = said["version"].to_pylist()
    log.append(Kind.PREDICTIONS, partition, logged_columns(rows, (), versions, [digest] * len(rows), answers))
    return log


def test_requests_are_held_against_what_was_published_since(pipeline: Pipeline) -> None:
    spec = KIOSK.model_copy(update={"serving": Serving(log=Log(keep=Length(3, "day")))})
    logging = pipeline.described_by(spec)
    publish(pipeline, 0, 11)
    promote(pipeline, 10)
    night(logging, 10)
    assert monitored(pipeline, 10).skew == {}
    log = ask(logging, 10)
    agreed = night(logging, 10)
    found = monitored(pipeline, 10).skew
    assert (found["rows"], found["unpublished"], found["inputs"], found["equal"]) == (4, 0, 0, 4)
    assert (found["predictions"], found["unusable"]) == ({}, {})
    assert "logged rows" not in agreed.reason
    rows = rows_of(10)
    warmer = pa.array([rows["temperature"][0].as_py() + 1, *rows["temperature"].to_pylist()[1:]])
    pipeline.lake.replace(Table.PARTITIONS, {day(10): rows.set_column(1, "temperature", warmer)})
    changed = night(logging, 10)
    record = monitored(pipeline, 10)
    assert record.skew["columns"] == {"temperature": {"rows": 1, "share": 0.25}}
    assert {cause: one["rows"] for cause, one in record.skew["predictions"].items()} == {"inputs": 1}
    assert "1 of 4 logged rows have other inputs than published (most of all temperature 1)" in changed.reason
    assert "skew" in [alert.key for alert in conditions(spec, record, changed)]
    assert night(pipeline, 10).reason == agreed.reason  # what is not described is not looked at
    night(logging, 10)
    log.remove([entry.key for entry in log.look(Kind.PREDICTIONS)[day(10)]])
    assert night(logging, 10) == changed
    assert monitored(pipeline, 10).skew == record.skew


def test_a_damaged_log_fails_no_night_and_an_old_one_is_deleted(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    spec = KIOSK.model_copy(update={"serving": Serving(log=Log(keep=Length(3, "day")))})
    logging = pipeline.described_by(spec)
    publish(pipeline, 0, 11)
    promote(pipeline, 10)
    night(logging, 10)
    log = ask(logging, 10)
    night(logging, 11)
    ask(logging, 11)
    log.append(Kind.SHADOW, day(10), pa.table({"key": [1]}))
    (entry,) = log.look(Kind.PREDICTIONS)[day(11)]
    own = pipeline.storage.child(pipeline.name)
    own.delete([entry.key])
    own.create(entry.key, b"damaged")
    night(logging, 11)
    assert "is not what was written" in monitored(pipeline, 11).skew["problem"]
    assert "its skew is not measured" in caplog.text
    assert [*log.look(Kind.PREDICTIONS), *log.look(Kind.SHADOW)] == [day(10), day(11), day(10)]
    publish(pipeline, 12, 14)
    night(pipeline, 12)  # also where nothing is logged any more: for as long as by default
    assert list(log.look(Kind.PREDICTIONS)) == [day(10), day(11)]
    night(logging, 12)
    assert [*log.look(Kind.PREDICTIONS), *log.look(Kind.SHADOW)] == [day(11)]
