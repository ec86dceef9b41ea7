"""Predictions into a real PostgreSQL, with a real S3 server behind: once, twice, and by several at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pyarrow as pa
import pytest
from sklearn.linear_model import LinearRegression

from evergreen.connections import Connection
from evergreen.errors import SourceError, UnavailableError
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.registry.model_file import dump_model
from evergreen.scoring.golden import golden_sample
from evergreen.scoring.score import score
from evergreen.scoring.sink import write_predictions
from evergreen.spec import parse_spec
from evergreen.storage import Storage
from tests.integration.connected import connected

KIOSK = parse_spec(Path(__file__).parents[1] / "pipelines" / "kiosk" / "pipeline.yaml")
TABLE = "kiosk_predictions"
LOCAL = datetime(2024, 1, 1, 5)  # noqa: DTZ001 - a time without a zone
Query = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture
def query(postgres_server: Connection) -> Query:
    def run(text: str) -> list[tuple[Any, ...]]:
        with connected(postgres_server) as session:
            session.execute("SET timezone = 'UTC'")
            cursor = session.execute(text)
            return cursor.fetchall() if cursor.description else []

    return run


def predictions(rows: int = 3, value: float = 1.0) -> pa.Table:
    times = [datetime(2024, 1, 2, hour, tzinfo=UTC) for hour in range(rows)]
    return pa.table(
        {
            "at": pa.array(times, pa.timestamp("us", tz="UTC")),
            "prediction": pa.array([value] * rows, pa.float64()),
            "actual": pa.array([None] * rows, pa.float64()),
            "version": ["v1"] * rows,
        }
    )


def write(connection: Connection, table: pa.Table, partition: str = "2024-01-02", name: str = TABLE) -> None:
    write_predictions(connection, name, ["at"], table, partition)


def test_the_table_is_created_with_the_right_types_and_key(postgres_server: Connection, query: Query) -> None:
    write(postgres_server, predictions())
    columns = query(
        "SELECT column_name, data_type FROM information_schema.columns "
        f"WHERE table_name = '{TABLE}' ORDER BY ordinal_position"
    )
    assert columns == [
        ("at", "timestamp with time zone"),
        ("prediction", "double precision"),
        ("actual", "double precision"),
        ("version", "text"),
        ("partition", "text"),
    ]
    first = query(f"SELECT * FROM {TABLE} ORDER BY at")[0]
    assert first == (datetime(2024, 1, 2, tzinfo=UTC), 1.0, None, "v1", "2024-01-02")
    with pytest.raises(psycopg.errors.UniqueViolation):
        query(f"INSERT INTO {TABLE} SELECT * FROM {TABLE}")


def test_the_table_gets_a_column_once_a_version_has_it(postgres_server: Connection, query: Query) -> None:
    write(postgres_server, predictions(rows=1), "2024-01-01")
    two = predictions(rows=1).append_column("probability", pa.array([0.25]))
    write(postgres_server, two, "2024-01-02")
    shares = pa.array([[0.5, 0.25, 0.25]], pa.list_(pa.float64()))
    write(postgres_server, predictions(rows=1).append_column("probabilities", shares), "2024-01-03")
    assert query(f"SELECT partition, probability, probabilities FROM {TABLE} ORDER BY partition") == [
        ("2024-01-01", None, None),
        ("2024-01-02", 0.25, None),
        ("2024-01-03", None, [0.5, 0.25, 0.25]),
    ]
    types = query(
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute "
        f"WHERE attrelid = '{TABLE}'::regclass AND attname LIKE 'prob%' ORDER BY attname"
    )
    assert types == [("double precision[]",), ("double precision",)]


def test_predictions_are_found_by_their_key(postgres_server: Connection, query: Query) -> None:
    write(postgres_server, predictions())
    (index,) = query(
        f"SELECT indexdef FROM pg_indexes WHERE tablename = '{TABLE}' AND indexname LIKE '%by_key'"
    )
    assert index[0].endswith("(at)")


def test_every_type_of_key_and_label_arrives(postgres_server: Connection, query: Query) -> None:
    table = pa.table(
        {
            'Ort "x"; drop': pa.array(["a", "b"], pa.large_string()),
            "small": pa.array([1, 2], pa.int16()),
            "middle": pa.array([1, 2], pa.int32()),
            "big": pa.array([1, 2**40], pa.int64()),
            "day": pa.array([date(2024, 1, 1), date(2024, 1, 2)]),
            "half": pa.array([0.5, 1.5], pa.float32()),
            "local": pa.array([LOCAL] * 2, pa.timestamp("us")),
            "prediction": pa.array([True, False]),
        }
    )
    write_predictions(postgres_server, "odd names", ['Ort "x"; drop', "big"], table, "snapshot")
    assert query('SELECT * FROM "odd names" ORDER BY big') == [
        ("a", 1, 1, 1, date(2024, 1, 1), 0.5, LOCAL, True, "snapshot"),
        ("b", 2, 2, 2**40, date(2024, 1, 2), 1.5, LOCAL, False, "snapshot"),
    ]


def test_written_twice_there_is_one_copy_and_other_partitions_stay(
    postgres_server: Connection, query: Query
) -> None:
    write(postgres_server, predictions(), "2024-01-01")
    write(postgres_server, predictions(rows=3))
    write(postgres_server, predictions(rows=2, value=5.0))
    found = query(f"SELECT partition, prediction, count(*) FROM {TABLE} GROUP BY 1, 2 ORDER BY 1")
    assert found == [("2024-01-01", 1.0, 3), ("2024-01-02", 5.0, 2)]


def test_no_rows_empty_the_partition(postgres_server: Connection, query: Query) -> None:
    write(postgres_server, predictions())
    write(postgres_server, predictions().slice(0, 0))
    assert query(f"SELECT count(*) FROM {TABLE}") == [(0,)]


def test_several_writers_at_once_on_a_new_table(postgres_server: Connection, query: Query) -> None:
    with ThreadPoolExecutor(8) as pool:
        jobs = [
            pool.submit(write, postgres_server, predictions(), f"2024-01-{n % 4 + 1:02d}") for n in range(16)
        ]
        for job in jobs:
            job.result()
    found = query(f"SELECT partition, count(*) FROM {TABLE} GROUP BY 1 ORDER BY 1")
    assert found == [(f"2024-01-{n:02d}", 3) for n in range(1, 5)]


def test_an_error_in_the_middle_leaves_what_was_there(postgres_server: Connection, query: Query) -> None:
    write(postgres_server, predictions())
    twice = pa.concat_tables([predictions(value=9.0)] * 2)
    with pytest.raises(SourceError, match="SQLSTATE 23505"):
        write(postgres_server, twice)
    assert query(f"SELECT prediction FROM {TABLE}") == [(1.0,)] * 3


def test_a_table_of_another_shape_is_left_alone(postgres_server: Connection, query: Query) -> None:
    query(f"CREATE TABLE {TABLE} (at text, prediction double precision, partition text)")
    with pytest.raises(
        SourceError, match=r"'at' must be timestamp with time zone and is text.*'version'.*absent"
    ):
        write(postgres_server, predictions())


@pytest.fixture
def kiosk(storage: Storage, postgres_server: Connection) -> Pipeline:
    """Two published days and a champion that predicts the temperature."""
    pipeline = Pipeline(KIOSK, storage, lambda conn_id: replace(postgres_server, conn_id=conn_id))
    days = []
    for key in ("2024-01-01", "2024-01-02"):
        at = pd.date_range(f"{key}T06", periods=4, freq="4h", tz="UTC").as_unit("us")
        frame = pd.DataFrame({"at": at, "temperature": [1.0, 2, 3, 4], "sold": [1.5, 2, 3, 4]})
        pipeline.lake.replace(Table.PARTITIONS, {key: pa.Table.from_pandas(frame, preserve_index=False)})
        days.append(frame.assign(partition=key))
    features = pd.DataFrame(
        np.random.default_rng(0).normal(size=(30, 3)), columns=["hour", "temperature", "level"]
    )
    model = LinearRegression().fit(features, features["temperature"])
    files = {
        "model.skops": dump_model(model),
        "golden.parquet": golden_sample(KIOSK, model, pd.concat(days, ignore_index=True)),
    }
    pipeline.registry.commit("2024-01-02-0123456789ab", files)
    pipeline.registry.promote("2024-01-02-0123456789ab", "2024-01-02", {})
    return pipeline


def test_scoring_writes_lake_and_postgres_alike(kiosk: Pipeline, query: Query) -> None:
    for changed in (True, False):
        assert score(kiosk, "2024-01-02").changed is changed
        found = query(f"SELECT at, prediction, actual, version, partition FROM {TABLE} ORDER BY at")
        lake = kiosk.lake.read(Table.PREDICTIONS).to_pylist()
        assert found == [tuple(row.values()) for row in lake]
        assert [row[1] for row in found] == pytest.approx([1, 2, 3, 4])


def test_scored_at_the_same_time_there_is_one_copy(kiosk: Pipeline, query: Query) -> None:
    with ThreadPoolExecutor(4) as pool:
        for job in [pool.submit(score, kiosk, "2024-01-02") for _ in range(8)]:
            assert job.result().rows == 4
    assert query(f"SELECT count(*) FROM {TABLE}") == [(4,)]
    assert len(kiosk.lake.read(Table.PREDICTIONS)) == 4


def test_postgres_down_names_pipeline_partition_and_remedy(
    kiosk: Pipeline, postgres_server: Connection
) -> None:
    down = Connection("kiosk_db", "postgres", "127.0.0.1", 1, "tester", "hidden word", "postgres")
    with pytest.raises(UnavailableError) as refusal:
        score(replace(kiosk, connect=lambda conn_id: down), "2024-01-02")
    text = str(refusal.value)
    assert text.startswith("kiosk 2024-01-02: predictions: connection 'kiosk_db' (127.0.0.1:1): ")
    assert text.endswith("check that the server runs, then run again")
    assert "hidden word" not in text
    assert "\n" not in text
    assert score(kiosk, "2024-01-02").rows == 4


def test_a_wrong_password_is_no_secret_and_no_retry(kiosk: Pipeline, postgres_server: Connection) -> None:
    wrong = replace(postgres_server, password="hidden word")
    with pytest.raises(SourceError, match="check its login, password and database") as refusal:
        score(replace(kiosk, connect=lambda conn_id: wrong), "2024-01-02")
    assert "hidden word" not in str(refusal.value)
