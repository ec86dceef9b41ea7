"""Labels of a real PostgreSQL, night by night, in a lake on a real S3 server, up to a trained model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from evergreen.connections import Connection
from evergreen.errors import NothingToDoError, RefusedError, UnavailableError
from evergreen.ingestion.stage import ingest
from evergreen.labels.ingest import ensure, ingest_labels, labelled_partitions
from evergreen.labels.join import with_labels
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.scoring.score import score
from evergreen.spec import parse_spec
from evergreen.storage import Storage
from evergreen.training.stage import train
from evergreen.training_set.assemble import assemble
from evergreen.training_set.read import read_window
from tests.integration.connected import connected

LENDER = Path(__file__).parents[1] / "pipelines" / "lender"
DAYS, A_DAY, DELAY = 30, 12, 5
FIRST = datetime(2024, 1, 1, tzinfo=UTC)


def day(number: int) -> str:
    return (FIRST + timedelta(days=number)).strftime("%Y-%m-%d")


@pytest.fixture
def database(postgres_server: Connection) -> Connection:
    """Loans of thirty days; those beyond what the income bears are repaid late. No label is there yet."""
    random = np.random.default_rng(7)
    with connected(postgres_server) as opened:
        opened.execute(
            "CREATE TABLE loans (loan int8 PRIMARY KEY, granted_at timestamptz, amount float8, income float8)"
        )
        opened.execute(
            "CREATE TABLE repayments (loan int8, granted_at timestamptz, late boolean, told_at timestamptz)"
        )
        for loan in range(DAYS * A_DAY):
            at = FIRST + timedelta(days=loan // A_DAY, hours=2 * (loan % A_DAY))
            row = (loan, at, float(random.uniform(1, 9)), float(random.uniform(1, 9)))
            opened.execute("INSERT INTO loans VALUES (%s, %s, %s, %s)", row)
    return postgres_server


@pytest.fixture
def lender(database: Connection, storage: Storage, tmp_path: Path) -> Pipeline:
    """The pipeline on both, in a folder of its own."""
    shutil.copytree(LENDER, tmp_path / "pipelines" / "lender")
    spec = parse_spec(tmp_path / "pipelines" / "lender" / "pipeline.yaml")
    return Pipeline(spec, storage, lambda conn_id: replace(database, conn_id=conn_id))


@pytest.fixture
def tell(database: Connection) -> Callable[..., None]:
    """Writes the labels of a day's loans into the database, but for the `missing` last ones."""

    def write(number: int, missing: int = 0) -> None:
        with connected(database) as opened:
            opened.execute(
                "INSERT INTO repayments SELECT loan, granted_at, amount > income, now() FROM loans "
                "WHERE loan >= %s AND loan < %s",
                (number * A_DAY, (number + 1) * A_DAY - missing),
            )

    return write


def labels(pipeline: Pipeline) -> dict[str, int]:
    table = pipeline.lake.read(Table.LABELS)
    counts = table.group_by("partition").aggregate([([], "count_all")]).to_pylist()
    return {row["partition"]: row["count_all"] for row in counts}


def test_thirty_nights_bring_each_day_s_labels_when_they_are_due(
    lender: Pipeline, tell: Callable[..., None]
) -> None:
    brought = []
    for night in range(DAYS):
        if night >= DELAY:
            tell(night - DELAY, missing=1)
        ingest(lender, [day(night)])
        try:
            (read,) = ingest_labels(lender, [day(night)])
        except NothingToDoError:
            assert night < DELAY
            continue
        assert (read.partition, read.labels, read.rows) == (day(night - DELAY), A_DAY - 1, A_DAY)
        assert read.labelled == A_DAY - 1
        brought.append(read.partition)
    print(f"{DAYS} nights, {len(brought)} of them brought {sum(labels(lender).values())} labels")
    assert brought == [day(n) for n in range(DAYS - DELAY)]
    assert labels(lender) == dict.fromkeys(brought, A_DAY - 1)
    versions = lender.lake.version(Table.LABELS)

    rows, read_at = read_window(lender, day(20))
    found = assemble(lender.spec, rows, day(20), read_at, {})
    assert found.rows["partition"].unique().tolist() == [day(n) for n in range(15)]
    assert found.target.tolist() == (found.rows["amount"] > found.rows["income"]).tolist()
    assert found.rows["partition"][found.holdout].unique().tolist() == [day(n) for n in range(11, 15)]
    assert labelled_partitions(lender, day(20)) == [day(n) for n in range(15)]

    # A history that is read again, all at once, changes nothing.
    again = ingest_labels(lender, [day(n) for n in range(DAYS)])
    assert [one.changed for one in again] == [False] * len(brought)
    assert lender.lake.version(Table.LABELS) == versions
    print(f"read {len(again)} partitions again: table version {versions} as before")


def test_a_long_history_is_read_as_it_would_have_been_night_by_night(
    lender: Pipeline, tell: Callable[..., None]
) -> None:
    for number in range(DAYS):
        tell(number)
    ingest(lender, [day(n) for n in range(DAYS)])
    found = ingest_labels(lender, [day(n) for n in range(DELAY, DAYS)])
    assert [one.partition for one in found] == [day(n) for n in range(DAYS - DELAY)]
    assert lender.lake.version(Table.LABELS) == 1
    rows = with_labels(lender, lender.lake.read(Table.PARTITIONS), day(DAYS - 1))
    assert rows.column("late").null_count == DELAY * A_DAY
    assert rows.column("partition").filter(rows.column("late").is_null()).unique().to_pylist() == [
        day(n) for n in range(DAYS - DELAY, DAYS)
    ]


def test_the_monitor_and_the_ingest_task_may_read_the_same_labels_at_once(
    lender: Pipeline, tell: Callable[..., None]
) -> None:
    tell(0)
    ingest(lender, [day(n) for n in range(DELAY + 1)])
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ensure, lender, day(DELAY)) for _ in range(2)]
        asked += [pool.submit(lambda: [ingest_labels(lender, [day(DELAY)])[0].partition]) for _ in range(2)]
        assert [one.result() for one in asked] == [[day(0)]] * 4
    assert labels(lender) == {day(0): A_DAY}


def test_two_labels_for_a_loan_are_refused_and_what_was_published_stays(
    lender: Pipeline, tell: Callable[..., None], database: Connection
) -> None:
    tell(0)
    ingest(lender, [day(0)])
    ingest_labels(lender, [day(DELAY)])
    with connected(database) as opened:
        opened.execute(
            "INSERT INTO repayments SELECT loan, granted_at, NOT late FROM repayments WHERE loan < 2"
        )
    with pytest.raises(RefusedError) as refused:
        ingest_labels(lender, [day(DELAY)])
    assert str(refused.value) == (
        "lender 2024-01-01: labels: 2 values of loan have more than one label: 0 (2 rows); 1 (2 rows): fix "
        "the source"
    )
    assert labels(lender) == {day(0): A_DAY}
    assert ensure(lender, day(DELAY)) == [day(0)]


def test_a_database_out_of_reach_asks_for_a_retry_and_tells_no_secret(
    lender: Pipeline, database: Connection, free_port: int
) -> None:
    ingest(lender, [day(0)])
    away = replace(lender, connect=lambda conn_id: replace(database, conn_id=conn_id, port=free_port))
    for ask in (lambda: ingest_labels(away, [day(DELAY)]), lambda: ensure(away, day(DELAY))):
        with pytest.raises(UnavailableError, match=r"^lender 2024-01-01: source 'labels': ") as failed:
            ask()
        assert "\n" not in str(failed.value)
        assert str(database.password) not in str(failed.value)
    assert lender.lake.partitions(Table.LABELS) == []


def test_a_model_learns_from_late_labels_and_scores_rows_that_have_none(
    lender: Pipeline, tell: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(lender.spec.folder.parent))
    for number in range(DAYS):
        tell(number)
    ingest(lender, [day(n) for n in range(DAYS)])
    ingest_labels(lender, [day(n) for n in range(DELAY, DAYS)])
    first = train(lender, day(18), {"kind": "test"})
    assert first.promoted
    assert first.metrics["accuracy"] > 0.9
    assert train(lender, day(18), {"kind": "test"}).existed

    scored = score(lender, day(18))
    assert (scored.version, scored.rows, scored.changed) == (first.version, A_DAY, True)
    predictions = lender.lake.read(Table.PREDICTIONS)
    assert predictions.column("actual").null_count == A_DAY
    assert {predictions.field(name).type for name in ("prediction", "actual")} == {pa.bool_()}
    assert not score(lender, day(18)).changed
    assert with_labels(lender, predictions, day(22), column="actual").column("actual").null_count == A_DAY
    known = with_labels(lender, predictions, day(23), column="actual").to_pandas()
    assert (known["prediction"] == known["actual"]).mean() > 0.8

    # The next one is compared on the days whose labels the first had not known.
    second = train(lender, day(20), {"kind": "test"})
    compared = lender.registry.read(second.version, "metrics.json")
    evaluation = json.loads(compared)["evaluation"]
    assert (evaluation["rows"], evaluation["compared_rows"]) == (4 * A_DAY, 2 * A_DAY)
    assert not evaluation["champion"].get("seen")
