"""What reaches a receiver from a real Airflow: a night that never began, a run past its limit, a failure.

The receiver is an HTTP server of the test, and a connection that Airflow keeps.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deploy.embedded.airflow_api import AirflowApi, Run
from deploy.embedded.stack import Stack
from evergreen.calendar import Calendar, Grain
from tests.e2e.waiting import read_again, wait_for

INGEST, WATCH = "shop_ingest", "shop_watch"
DAILY = Calendar(Grain.DAILY)
PIPELINE = """
name: shop
description: Sales of a shop
owner: tests
schedule: "0 2 * * *"
start: 2024-01-01
partition: daily
sources:
  sales:
    file: {path: "{partition}.csv", time_column: at, types: {sold: int}}
    complete: {file: "{partition}.done", every: 1 seconds, within: 1 hours}
key: [at]
task: regression
target: sold
training: {metric: mae, minimum: 30 partitions, candidates: [{estimator: sklearn.linear_model.Ridge}]}
alerts:
  to: [{conn_id: ops}]
  deadline: "02:00"
  limits: {ingest: 20 seconds}
"""


class Receiver:
    """Takes alerts at `address`."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.logins: set[str] = set()
        receiver = self

        class Takes(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                receiver.logins.add(self.headers["Authorization"])
                self.send_response(204)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Takes)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def told(self) -> list[tuple[str, str]]:
        """Subject and partition of every message."""
        return [(body["title"], body["partition"]) for body in self.bodies]

    def hears(self, subject: str, partition: str) -> dict[str, Any]:
        """The message with this subject about this partition, once it is there."""
        wait_for(lambda: (subject, partition) in self.told(), f"'{subject}' of {partition}")
        return self.bodies[self.told().index((subject, partition))]


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture(scope="module")
def folder(stack: Stack, airflow: AirflowApi, receiver: Receiver) -> Path:
    """The folder of the pipeline `shop`, whose DAGs Airflow has read, and which tells the receiver."""
    connection = {
        "connection_id": "ops",
        "conn_type": "http",
        "host": receiver.address,
        "password": "secret-word",
    }
    airflow._call("POST", "/api/v2/connections", json=connection)
    folder = Path(os.environ["EVERGREEN_PIPELINES"]) / "shop"
    folder.mkdir()
    (folder / "expectations.yaml").write_text("- expect_column_values_to_not_be_null: {column: sold}\n")
    (folder / "pipeline.yaml").write_text(PIPELINE)
    for another, dag_id in (("iris_ingest", INGEST), ("bike_demand_watch", WATCH)):
        read_again(airflow, another)
        assert airflow.dag(dag_id)
    return folder


def publish(folder: Path, day: str, amount: str = "3") -> None:
    (folder / f"{day}.csv").write_text(f"at,sold\n{day}T08:00:00Z,{amount}\n{day}T09:00:00Z,4\n")
    (folder / f"{day}.done").touch()


def watched(airflow: AirflowApi, day: str) -> None:
    run = airflow.trigger(WATCH, partition=day)
    wait_for(lambda: airflow.run(run).ended, f"the watch of {day}")
    assert airflow.run(run).state == "success"


def ended(airflow: AirflowApi, run: Run) -> str:
    wait_for(lambda: airflow.run(run).ended, f"{run.dag_id} {run.partition}")
    return airflow.run(run).state


def test_a_night_that_never_began_is_seen_and_then_a_run_past_its_limit(
    folder: Path, airflow: AirflowApi, receiver: Receiver
) -> None:
    airflow.unpause(WATCH)
    wait_for(lambda: airflow.runs(WATCH), "the watch of the last night")
    night = airflow.runs(WATCH)[0].partition or ""
    missing = receiver.hears(f"[critical] shop: ingest of {night} is missing", night)
    assert (missing["key"], missing["state"]) == ("night", "open")
    assert "is not published by 02:00 UTC; nothing is published" in missing["message"]
    watched(airflow, night)
    assert len(receiver.bodies) == 1
    assert receiver.logins == {"Bearer secret-word"}

    airflow.unpause(INGEST)
    late = receiver.hears("[warning] shop: ingest takes too long", night)
    (run,) = airflow.runs(INGEST)
    assert not run.ended
    assert (run.partition, late["key"]) == (night, "slow_ingest")
    assert "ingest has not ended within 0:00:20" in late["message"]

    publish(folder, night)
    assert ended(airflow, run) == "success"
    watched(airflow, night)
    over = receiver.hears(f"[over] shop: ingest of {night} is missing", night)
    assert (over["severity"], over["state"]) == ("info", "over")


def test_a_task_that_fails_for_good_is_told_and_its_next_success(
    folder: Path, airflow: AirflowApi, receiver: Receiver
) -> None:
    (first,) = airflow.runs(INGEST)
    day = DAILY.shift(first.partition or "", 1)
    publish(folder, day, amount="many")
    (folder / "pipeline.yaml").write_text(PIPELINE.replace("20 seconds", "30 minutes"))
    read_again(airflow, INGEST)
    run = airflow.trigger(INGEST, partition=day)
    assert ended(airflow, run) == "failed"
    failed = receiver.hears("[critical] shop: ingest failed", day)
    assert failed["message"].startswith(f"shop_ingest, task validate: shop {day}: refused: ")

    publish(folder, day)
    clear = {"dry_run": False, "dag_run_id": run.run_id, "only_failed": False}
    airflow._call("POST", f"/api/v2/dags/{INGEST}/clearTaskInstances", json=clear)
    wait_for(lambda: airflow.run(run).state == "success", "the run to succeed")
    assert receiver.hears("[over] shop: ingest failed", day)["state"] == "over"
    assert receiver.hears("[over] shop: ingest takes too long", first.partition or "")["state"] == "over"
    assert len(receiver.told()) == len(set(receiver.told())), receiver.told()
