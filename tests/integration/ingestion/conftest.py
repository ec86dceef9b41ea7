"""`bike_demand` with a real PostgreSQL, a real API and a real S3 server, which a test may spoil."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import uvicorn
from fastapi import FastAPI, Request, Response
from tenacity import wait_none

from evergreen.connections import Connection
from evergreen.ingestion.publish import Published
from evergreen.ingestion.stage import publish_staged, stage_source, stage_validated
from evergreen.pipeline import Pipeline
from evergreen.sources.http import read as http
from evergreen.spec import parse_spec
from evergreen.storage import Storage

ROOT = Path(__file__).resolve().parents[3]
BIKE = ROOT / "include" / "pipelines" / "bike_demand"
KEY = "integration-key"
DAYS = ["2011-01-01", "2011-01-02", "2011-01-03"]


@dataclass
class Weather:
    """The demo's API in small: pages of ten hours. `script` is answered first; `asked` is every query."""

    address: str = ""
    days: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    script: list[Response] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)

    def page(self, request: Request) -> Response:
        query = dict(request.query_params)
        self.asked.append(query)
        if self.script:
            return self.script.pop(0)
        if request.headers.get("X-API-Key") != KEY:
            return Response(status_code=401)
        day, at = self.days.get(query["day"], []), int(query.get("cursor", 0))
        more = str(at + 10) if at + 10 < len(day) else None
        return self.json({"data": day[at : at + 10], "next": more})

    @staticmethod
    def json(document: Any) -> Response:
        return Response(json.dumps(document), media_type="application/json")


@pytest.fixture
def weather(monkeypatch: pytest.MonkeyPatch) -> Iterator[Weather]:
    """The API on a free port, with weather for `DAYS`; pauses between attempts are taken out."""
    monkeypatch.setattr(http, "BACKOFF", wait_none())
    api = Weather(days={day: [weather_of(moment) for moment in hours(day)] for day in DAYS})
    app = FastAPI()
    app.add_api_route("/v1/hourly", api.page, response_model=None)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    api.address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield api
    server.should_exit = True
    thread.join()


def hours(day: str) -> list[datetime]:
    start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    return [start + timedelta(hours=number) for number in range(24)]


def weather_of(moment: datetime) -> dict[str, Any]:
    return {
        "hour": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "temperature": moment.hour / 2 if moment.day > 1 else moment.hour,
        "feels_like": moment.hour - 2,
        "humidity": 60 + moment.hour,
        "wind_speed": 12.5,
        "condition": "mist" if moment.hour < 6 else "clear",
    }


def rental_of(moment: datetime) -> tuple[Any, ...]:
    casual, registered = moment.hour + moment.day, 10 * moment.hour
    return moment, False, casual, registered, casual + registered


@dataclass(frozen=True)
class Database:
    """The source database, for a test to fill and to spoil."""

    connection: Connection

    def run(self, *statements: str) -> None:
        with self._session() as session:
            for statement in statements:
                session.execute(statement)

    def insert(self, rows: list[tuple[Any, ...]]) -> None:
        with self._session() as session, session.cursor() as cursor:
            cursor.executemany("INSERT INTO rentals VALUES (%s, %s, %s, %s, %s)", rows)

    def _session(self) -> psycopg.Connection[Any]:
        server = self.connection
        return psycopg.connect(
            host=server.host,
            port=server.port,
            user=server.login,
            password=server.password,
            dbname=server.schema,
        )


@pytest.fixture
def rentals(postgres_server: Connection) -> Database:
    """The table `rentals` with the hours of `DAYS`."""
    database = Database(replace(postgres_server, conn_id="rentals_db"))
    database.run(
        "CREATE TABLE rentals (rented_at timestamptz PRIMARY KEY, holiday boolean, casual integer, "
        "registered integer, cnt integer)"
    )
    database.insert([rental_of(moment) for day in DAYS for moment in hours(day)])
    return database


@dataclass
class World:
    """The pipeline and the connections it looks up, which a test may change."""

    spec: Any
    storage: Storage
    connections: dict[str, Connection]

    @property
    def pipeline(self) -> Pipeline:
        return Pipeline(self.spec, self.storage, self.connections.__getitem__)

    def night(self, partition: str, pipeline: Pipeline | None = None) -> Published:
        """One night as Airflow runs it: a function a task."""
        pipeline = pipeline or self.pipeline
        for name in pipeline.spec.sources:
            stage_source(pipeline, [partition], "night-1", name)
        stage_validated(pipeline, [partition], "night-1", datetime(2011, 1, 4, 2, tzinfo=UTC))
        return publish_staged(pipeline, [partition], "night-1")[0]

    def rows_of(self, day: str) -> list[dict[str, Any]]:
        """What the lake must hold of a day of `DAYS`."""
        rows = []
        for moment in hours(day):
            names = ("rented_at", "holiday", "casual", "registered", "cnt")
            row = {**dict(zip(names, rental_of(moment), strict=True)), **weather_of(moment)}
            rows.append({**{name: row[name] for name in row if name != "hour"}, "partition": day})
        return rows

    def with_rentals(self, **changes: Any) -> Pipeline:
        """The pipeline with another description of its Postgres source."""
        described = self.spec.sources["rentals"].config.model_copy(update=changes)
        source = self.spec.sources["rentals"].model_copy(update={"config": described})
        sources = {**self.spec.sources, "rentals": source}
        return Pipeline(
            self.spec.model_copy(update={"sources": sources}), self.storage, self.connections.__getitem__
        )


@pytest.fixture
def world(weather: Weather, rentals: Database, storage: Storage) -> World:
    api = Connection(
        "weather_api", "http", weather.address, password=KEY, extra={"api_key_header": "X-API-Key"}
    )
    return World(
        parse_spec(BIKE / "pipeline.yaml"),
        storage,
        {"rentals_db": rentals.connection, "weather_api": api},
    )
