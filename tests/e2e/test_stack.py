"""The embedded stack itself: damaged, repaired and stopped."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from deploy.demo_data.sources import yesterday
from deploy.embedded import postgres, processes, redis, s3
from deploy.embedded.airflow_api import AirflowApi, Run
from deploy.embedded.environment import weather_url
from deploy.embedded.errors import StackError
from deploy.embedded.home import REPOSITORY, Home
from deploy.embedded.nights import nights
from deploy.embedded.stack import Stack
from evergreen.errors import StorageError
from evergreen.ingestion.stage import ingest
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.stages import INGEST
from evergreen.storage import Credentials, Storage
from tests.e2e.waiting import read_again, wait_for

NAME = "bike_demand"
LOST = [f"2011-02-{day:02d}" for day in range(1, 8)]
"""Days that no other test here ingests."""


class Driver:
    """Calls the stack's command as a shell would."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.environment = {**os.environ, "EVERGREEN_HOME": str(home.root), "EVERGREEN_PORTS": "free"}

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
def driver(stack: Stack) -> Driver:
    return Driver(stack.home)


def members(home: Home) -> list[psutil.Process]:
    return [each for name in processes.started(home) for each in processes.leftovers(home, name)]


def listening_at(process: psutil.Process) -> list[str]:
    """The addresses at which a process accepts connections; none once it has ended."""
    try:
        connections = process.net_connections("tcp")
    except psutil.NoSuchProcess:
        return []
    return [each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN]


def count_rentals(stack: Stack, first: str = "-infinity", last: str = "infinity") -> int:
    """How many rentals the source has, of all days or of those of a range."""
    between = "SELECT count(*) FROM rentals WHERE rented_at >= %s AND rented_at < %s::timestamp + '1 day'"
    with postgres.connect(stack.ports, stack.secrets) as connection:
        row = connection.execute(between, (first, last)).fetchone()
    assert row is not None
    return int(str(row[0]))


def ended(api: AirflowApi, dag_id: str, partition: str) -> Run:
    """The run of a partition, once it has ended."""
    wait_for(
        lambda: any(run.ended for run in api.runs(dag_id, partition=partition)), f"{dag_id} of {partition}"
    )
    return api.runs(dag_id, partition=partition)[0]


def leaders(home: Home) -> dict[str, int]:
    """The process of each service."""
    found = {name: processes.find(home, name) for name in processes.started(home)}
    return {name: process.pid for name, process in found.items() if process}


def leader(home: Home, name: str) -> psutil.Process:
    found = processes.find(home, name)
    assert found is not None
    return found


def lose(home: Home, name: str, *, machine: bool = False) -> None:
    """Kill a program, or all of its `machine`; returns when the keeper has started it again."""
    lost = leader(home, name)
    for process in processes.leftovers(home, name) if machine else [lost]:
        process.kill()
    wait_for(lambda: processes.find(home, name) not in (None, lost), f"{name} to be started again")


def started(api: AirflowApi, days: list[str]) -> list[Run]:
    """The runs that ingest these days, just begun."""
    dag_id = INGEST.dag_id(NAME)
    wait_for(lambda: api.dag(dag_id), f"Airflow to read {dag_id}")
    api.unpause(dag_id)
    return [api.trigger(dag_id, partition=day) for day in days]


def check_ingested(driver: Driver, runs: list[Run]) -> None:
    """Wait for the end of runs, and compare their days with those that an undisturbed process publishes."""
    api, days = AirflowApi.of(driver.stack), [str(run.partition) for run in runs]
    wait_for(lambda: answer(lambda: all(api.run(run).ended for run in runs)), "the days to be ingested", 600)
    assert [api.run(run).state for run in runs] == ["success"] * len(runs)
    undisturbed = Pipeline.open(NAME, storage=Storage.open().child("undisturbed"))
    ingest(undisturbed, days)
    found, expected = (
        pipeline.lake.read(Table.PARTITIONS, days[0], days[-1])
        for pipeline in (Pipeline.open(NAME), undisturbed)
    )
    assert len(found) == count_rentals(driver.stack, days[0], days[-1])
    assert found.equals(expected)


def running_tasks(home: Home) -> list[psutil.Process]:
    """The tasks that LocalExecutor's workers run."""
    return [task for worker in leader(home, "scheduler").children() for task in worker.children()]


def answer(question: Callable[[], object]) -> object:
    """The answer, or nothing while the database is away."""
    with suppress(StackError):
        return question()
    return None


def test_up_twice_says_so(driver: Driver) -> None:
    before = leaders(driver.home)
    assert len(before) > 6
    assert "already running" in driver.done("up")
    assert leaders(driver.home) == before


def test_everything_listens_on_this_machine_alone(driver: Driver) -> None:
    addresses = [address for each in members(driver.home) for address in listening_at(each)]
    assert len(addresses) >= 4
    assert set(addresses) == {"127.0.0.1"}


def test_load_replaces_the_source(driver: Driver, tmp_path: Path) -> None:
    assert "rows of simulated history" in driver.done("load")
    assert count_rentals(driver.stack) == ((yesterday() - date(2011, 1, 1)).days + 1) * 24
    real = REPOSITORY.parent / "shared/data/bike_sharing/hour.csv"
    if real.exists():
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


def test_the_store_honours_conditions_and_asks_for_a_key(driver: Driver) -> None:
    Storage.open().probe()
    stranger = Credentials(os.environ["AWS_ENDPOINT_URL"], access_key="EGSTRANGER", secret_key="a guess")
    with pytest.raises(StorageError, match="access denied"):
        Storage.open(credentials=stranger).list("")


def test_airflow_logs_in_runs_partitions_and_holds_back_nights_without_data(driver: Driver) -> None:
    nights(driver.home).hold("first")
    api = AirflowApi.of(driver.stack)

    read_again(api, "first")
    assert not api.import_errors()
    assert not (api.dag("first") or {})["next_dagrun_run_after"]
    for dag_id in ("first", "second"):
        api.unpause(dag_id)
    run = api.trigger("first", partition="2011-01-05")
    assert ended(api, "first", "2011-01-05").state == "success"
    assert ended(api, "second", "2011-01-05").state == "success"
    assert api.tasks(run) == {"import_heavily": "success"}
    (log,) = (driver.home.logs / "airflow").glob("dag_id=first/*/task_id=import_heavily/attempt=1.log")
    assert "WARM" in log.read_text()
    assert api.count("first") == 1, "no night was scheduled by itself"


def test_nobody_looks_after_a_task_and_a_scheduler_that_are_lost(driver: Driver) -> None:
    """LocalExecutor's workers end with their scheduler."""
    home, api = driver.home, AirflowApi.of(driver.stack)
    runs = started(api, LOST[:2])
    tasks: list[psutil.Process] = []
    wait_for(lambda: tasks.extend(running_tasks(home)) or tasks, "a task to run")
    tasks[0].kill()
    workers = leader(home, "scheduler").children()
    lose(home, "scheduler")
    assert not [each for each in workers if processes.is_alive(each)]
    check_ingested(driver, runs)


def test_up_goes_on_where_a_crash_left_the_stack(driver: Driver) -> None:
    for name in ("keeper", "serving"):
        leader(driver.home, name).kill()
        wait_for(lambda name=name: processes.find(driver.home, name) is None, f"{name} to end")
    assert "serving         does not run" in driver.done("status")
    said = driver.done("up")
    assert "starting serving" in said
    assert "starting keeper" in said


@pytest.fixture(scope="module")
def on_workers(driver: Driver) -> Driver:
    """The same stack once it was stopped and has begun again on two Celery workers and one for trainings."""
    before = members(driver.home)
    assert "Stopped: " in driver.done("down")
    assert not [each for each in before if processes.is_alive(each)]
    driver.done("up", "--executor", "celery", "--workers", "2")
    return driver


def worker_of(stack: Stack, pid: int) -> str:
    """The name of the Celery worker whose machine has this process."""
    machines = {name: processes.leftovers(stack.home, name) for name in stack.executor.queues}
    return next(name for name, found in machines.items() if pid in {each.pid for each in found})


def test_nobody_looks_after_whatever_is_lost_beside_celery_workers(
    on_workers: Driver, tell: Callable[[str], None]
) -> None:
    """One of each: a worker with its task, the broker, the scheduler, the store and the database."""
    stack, api = on_workers.stack, AirflowApi.of(on_workers.stack)
    api.unpause("ten_seconds")
    long = api.trigger("ten_seconds")
    runs = started(api, LOST[2:])
    wait_for(lambda: api.tasks(long) == {"wait": "running"}, "the long task to run")
    worker = worker_of(stack, api.task_instances(long)[0]["pid"])
    lost = [worker, redis.NAME, "scheduler", s3.NAME, postgres.NAME]
    for name in lost:
        lose(stack.home, name, machine=True)
    check_ingested(on_workers, runs)
    wait_for(lambda: api.run(long).ended, "the long task to end")
    assert api.run(long).state == "success"
    assert [task["try_number"] for task in api.task_instances(long)] == [2]
    tries = Counter(task["try_number"] for run in runs for task in api.task_instances(run))
    tell(f"lost one by one: {', '.join(lost)}; tries of the days' tasks: {dict(tries)}")


def test_down_leaves_no_process_and_a_taken_port_is_named(driver: Driver) -> None:
    before = members(driver.home)
    assert "Stopped: " in driver.done("down")
    assert not [each for each in before if processes.is_alive(each)]
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
