"""PostgreSQL or the S3 server is down, keeps us out, or holds something else."""

from __future__ import annotations

import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from evergreen.errors import NotFoundError, RefusedError, SourceError, StorageError, UnavailableError
from evergreen.ingestion.stage import ingest, stage_source
from evergreen.lake import Table
from evergreen.storage import Storage

DAYS = ["2011-01-01", "2011-01-02", "2011-01-03"]


class TestPostgresMisbehaves:
    def test_it_is_down(self, world, rentals):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
            port = taken.getsockname()[1]
            world.connections["rentals_db"] = replace(rentals.connection, port=port)
            with pytest.raises(
                UnavailableError,
                match=r"source 'rentals': connection 'rentals_db' .*check that the server runs",
            ) as told:
                world.night(DAYS[0])
        assert (rentals.connection.password or "") not in str(told.value)

    @pytest.mark.parametrize("wrong", [{"password": "wr0ng's \\secret"}, {"schema": "nowhere"}])
    def test_it_does_not_let_us_in(self, world, rentals, wrong):
        world.connections["rentals_db"] = replace(rentals.connection, **wrong)
        with pytest.raises(SourceError, match="check its login, password and database") as told:
            world.night(DAYS[0])
        assert "secret" not in str(told.value)
        assert "\n" not in str(told.value)

    def test_the_table_is_missing(self, world, rentals):
        rentals.run("ALTER TABLE rentals RENAME TO hires")
        with pytest.raises(SourceError, match=r"no table 'rentals' \(there: public\.hires\)"):
            world.night(DAYS[0])

    def test_the_time_column_is_missing(self, world, rentals):
        rentals.run("ALTER TABLE rentals RENAME rented_at TO at")
        with pytest.raises(
            SourceError, match=r"table 'rentals' has no column 'rented_at' \(there: at, holiday"
        ):
            world.night(DAYS[0])

    def test_a_column_is_missing_or_of_another_type(self, world, rentals):
        ingest(world.pipeline, DAYS[:1])
        rentals.run("ALTER TABLE rentals ALTER registered TYPE text", "ALTER TABLE rentals DROP casual")
        with pytest.raises(
            RefusedError, match="column 'casual' is missing; column 'registered' was int32 and is string"
        ):
            world.night(DAYS[1])
        assert world.pipeline.lake.partitions() == DAYS[:1]

    def test_there_are_no_rows_that_day(self, world, rentals):
        rentals.run("DELETE FROM rentals WHERE rented_at < '2011-01-02Z'")
        with pytest.raises(RefusedError, match=r"^bike_demand 2011-01-01: refused: no rows"):
            world.night(DAYS[0])
        with pytest.raises(NotFoundError):
            world.pipeline.lake.read(Table.PARTITIONS)

    def test_names_are_only_names(self, world, rentals):
        pipeline = world.with_rentals(table='rentals"; DROP TABLE rentals; --')
        with pytest.raises(SourceError, match="no table"):
            world.night(DAYS[0], pipeline)
        assert world.night(DAYS[0]).rows == 24

    @pytest.mark.parametrize(
        ("sql", "error", "problem"),
        [
            (
                "DELETE FROM rentals WHERE rented_at >= $1 AND rented_at < $2",
                SourceError,
                "read-only transaction",
            ),
            ("SELECT nope FROM rentals", SourceError, 'column "nope" does not exist'),
            ("SELECT pg_sleep(30)::text", UnavailableError, "statement timeout"),
        ],
    )
    def test_a_query_that_must_not_or_cannot_run(self, world, tmp_path, sql, error, problem):
        (tmp_path / "q.sql").write_text(sql)
        pipeline = world.with_rentals(table=None, sql="q.sql", timeout=timedelta(seconds=1))
        pipeline = replace(pipeline, spec=pipeline.spec.model_copy(update={"folder": tmp_path}))
        with pytest.raises(error, match=problem):
            stage_source(pipeline, DAYS[:1], "night-1", "rentals")
        assert world.night(DAYS[0]).rows == 24

    def test_unusual_types_come_as_the_lake_keeps_them(self, world, rentals):
        rentals.run(
            "CREATE TYPE mood AS ENUM ('calm')",
            "ALTER TABLE rentals ADD mood mood DEFAULT 'calm', ADD fee numeric DEFAULT 1.25, "
            "ADD ride uuid DEFAULT '00000000-0000-0000-0000-000000000001', ADD tags text[] DEFAULT '{a,b}', "
            "ADD noted timestamp DEFAULT '2011-01-01 05:00'",
        )
        world.night(DAYS[0])
        row = world.pipeline.lake.read(Table.PARTITIONS).to_pylist()[0]
        assert (row["mood"], row["fee"], row["tags"]) == ("calm", 1.25, ["a", "b"])
        assert row["ride"] == "00000000-0000-0000-0000-000000000001"
        assert row["noted"] == datetime(2011, 1, 1, 5, tzinfo=UTC)


def test_a_missing_bucket_is_named(world, storage):
    world.storage = Storage("no-such-bucket", "", storage.credentials)
    with pytest.raises(StorageError, match=r"bucket .*does not exist: create it"):
        ingest(world.pipeline, DAYS[:1])
