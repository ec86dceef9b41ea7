"""The embedded stack itself: started on free ports in a temporary folder, hurt, mended and stopped."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from textwrap import dedent

import httpx
import psutil
import psycopg
import pytest

from deploy.demo_data.sources import yesterday
from deploy.embedded import postgres, processes
from deploy.embedded.airflow_api import AirflowApi, Run
from deploy.embedded.environment import read, weather_url
from deploy.embedded.home import REPOSITORY, Home
from deploy.embedded.load import nights
from deploy.embedded.stack import Stack
from evergreen.errors import StorageError
from evergreen.storage import Credentials, Storage

pytestmark = pytest.mark.timeout(900)

# Two DAGs in the shape of a pipeline's: one a day of data, and one that follows it.
DAGS = """
from datetime import UTC, datetime
from airflow.sdk import DAG, Asset, CronPartitionTimetable, PartitionedAssetTimetable, task

days = Asset(name="days", uri="test://days")
cron = CronPartitionTimetable("0 2 * * *", timezone="UTC", run_offset=-1, key_format="%Y-%m-%d")
start = datetime(2011, 1, 1, tzinfo=UTC)

with DAG("first", schedule=cron, start_date=start, catchup=False):

    @task(outlets=[days])
    def import_heavily():
        import sys
        print("WARM" if "great_expectations" in sys.modules and "sklearn" in sys.modules else "COLD")

    import_heavily()

with DAG("second", schedule=PartitionedAssetTimetable(assets=days), start_date=start, catchup=False):

    @task
    def follow():
        pass

    follow()
"""


class Driver:
    """Calls the stack's command as a shell would."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder / "home")
        dags = folder / "dags"
        dags.mkdir(parents=True)
        (dags / "two_dags.py").write_text(dedent(DAGS))
        self.environment = {
            **os.environ,
            "EVERGREEN_HOME": str(self.home.root),
            "EVERGREEN_DAGS": str(dags),
            "EVERGREEN_PORTS": "free",
        }

    def __call__(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "deploy.embedded", *arguments],
            cwd=REPOSITORY,
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def done(self, *arguments: str) -> str:
        answer = self(*arguments)
        assert answer.returncode == 0, answer.stderr + answer.stdout
        return answer.stdout

    @property
    def stack(self) -> Stack:
        return Stack.of(self.home)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    found = Driver(tmp_path_factory.mktemp("stack"))
    try:
        found.done("up")
        yield found
    finally:
        found("clean")


def members(home: Home) -> list[psutil.Process]:
    return [each for name in processes.started(home) for each in processes.leftovers(home, name)]


def count_rentals(stack: Stack) -> int:
    with postgres.connect(stack.ports, stack.secrets) as connection:
        row = connection.execute("SELECT count(*) FROM rentals").fetchone()
    assert row is not None
    return int(str(row[0]))


def wait_for(api: AirflowApi, dag_id: str, partition: str) -> Run:
    deadline = time.monotonic() + 120
    while True:
        for run in api.runs(dag_id, partition=partition):
            if run.ended:
                return run
        assert time.monotonic() < deadline, f"{dag_id} of {partition} does not end"
        time.sleep(0.5)


def test_up_twice_says_so(driver: Driver) -> None:
    before = sorted(each.pid for each in members(driver.home))
    assert "already running" in driver.done("up")
    assert sorted(each.pid for each in members(driver.home) if each.pid in before) == before


def test_everything_listens_on_this_machine_alone(driver: Driver) -> None:
    addresses = [
        connection.laddr.ip
        for each in members(driver.home)
        for connection in each.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(addresses) >= 4
    assert set(addresses) == {"127.0.0.1"}


def test_load_replaces_the_source(driver: Driver, tmp_path: Path) -> None:
    assert "rows of simulated history" in driver.done("load")
    assert count_rentals(driver.stack) == ((yesterday() - date(2011, 1, 1)).days + 1) * 24
    real = REPOSITORY.parent / "shared/data/bike_sharing/hour.csv"
    if real.exists():
        for _ in range(2):
            assert "17,379 rows" in driver.done("load", "--data", str(real))
            assert count_rentals(driver.stack) == 17379
    before = count_rentals(driver.stack)
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("a,b\n1,2\n")
    refused = driver("load", "--data", str(wrong))
    assert refused.returncode == 1
    assert "lacks the columns instant" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert count_rentals(driver.stack) == before


def test_the_weather_api_answers_who_has_the_key(driver: Driver) -> None:
    stack = driver.stack
    url = f"{weather_url(stack.ports)}/v1/hourly"
    key = {"X-API-Key": stack.secrets.weather_api_key}
    answer = httpx.get(url, params={"day": "2011-01-02"}, headers=key).raise_for_status().json()
    assert [len(answer["data"]), answer["next"]] == [10, "10"]
    assert httpx.get(url, params={"day": "2011-01-02"}).status_code == 401


def test_the_databases_ask_for_a_password(driver: Driver) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(
            host="127.0.0.1",
            port=driver.stack.ports.postgres,
            user=postgres.LOGIN,
            dbname="rentals",
            password="a guess",
        )


def test_the_store_honours_conditions_and_asks_for_a_key(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in read(driver.home).items():
        monkeypatch.setenv(name, value)
    Storage.open().probe()
    stranger = Credentials(os.environ["AWS_ENDPOINT_URL"], access_key="EGSTRANGER", secret_key="a guess")
    with pytest.raises(StorageError, match="access denied"):
        Storage.open(credentials=stranger).list("")


def test_airflow_logs_in_runs_partitions_and_holds_back_nights_without_data(driver: Driver) -> None:
    nights(driver.home).end(date(2012, 12, 31))
    api = AirflowApi(driver.stack)
    deadline = time.monotonic() + 120
    while (dag := api.dag("first")) is None or dag["next_dagrun_run_after"] or not api.dag("second"):
        assert not api.import_errors()
        assert time.monotonic() < deadline
        time.sleep(0.5)
    for dag_id in ("first", "second"):
        api.unpause(dag_id)
    run = api.trigger("first", partition="2011-01-05")
    assert wait_for(api, "first", "2011-01-05").state == "success"
    assert wait_for(api, "second", "2011-01-05").state == "success"
    assert api.tasks(run) == {"import_heavily": "success"}
    (log,) = (driver.home.logs / "airflow").glob("dag_id=first/*/task_id=import_heavily/attempt=1.log")
    assert "WARM" in log.read_text()
    assert api.count("first") == 1, "no night was scheduled by itself"


def test_a_killed_scheduler_is_replaced_and_its_workers_are_gone(driver: Driver) -> None:
    scheduler = processes.find(driver.home, "scheduler")
    assert scheduler is not None
    workers = scheduler.children()
    assert workers
    scheduler.kill()
    while processes.find(driver.home, "scheduler"):
        time.sleep(0.05)
    assert "scheduler       does not run" in driver.done("status")
    assert "starting scheduler" in driver.done("up")
    assert not [each for each in workers if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]


def test_a_killed_database_is_recovered_with_what_it_held(driver: Driver) -> None:
    driver.done("load")
    before = count_rentals(driver.stack)
    server = processes.find(driver.home, "postgres")
    assert server is not None
    server.kill()
    while processes.find(driver.home, "postgres"):
        time.sleep(0.05)
    assert "starting postgres" in driver.done("up")
    assert count_rentals(driver.stack) == before
    AirflowApi(driver.stack)


def test_down_leaves_no_process_and_a_taken_port_is_named(driver: Driver) -> None:
    before = members(driver.home)
    assert "Stopped: " in driver.done("down")
    assert not [each for each in before if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
    assert "Nothing was running" in driver.done("down")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = driver("up", EVERGREEN_WEATHER_PORT=str(port))
        assert refused.returncode == 1
        assert f"port {port} for weather is taken by another program" in refused.stderr
        assert "EVERGREEN_WEATHER_PORT=" in refused.stderr
    assert members(driver.home) == []
    refused = driver("load")
    assert refused.returncode == 1
    assert "run 'make up'" in refused.stderr
