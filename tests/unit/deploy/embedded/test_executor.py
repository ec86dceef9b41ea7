from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from deploy.embedded import airflow, environment, redis, stack
from deploy.embedded.errors import StackError
from deploy.embedded.executor import LOCAL, Executor, asked, slots
from deploy.embedded.home import Home, Ports
from deploy.embedded.processes import Service
from deploy.embedded.secrets import keep

PORTS = Ports(redis=1006)
TWO = Executor(2)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    found = Home(tmp_path / "a home")
    found.create()
    return found


def programs(home: Home, executor: Executor) -> dict[str, Service]:
    found = environment.for_programs(environment.variables(home, PORTS, keep(home), executor))
    return {service.name: service for service in airflow.services(found, PORTS, executor)}


@pytest.mark.parametrize(
    ("executor", "workers", "variable", "expected"),
    [
        ("", "", "", None),
        ("local", "", "CeleryExecutor", LOCAL),
        ("", "", "LocalExecutor", LOCAL),
        ("celery", "", "", Executor(1)),
        ("celery", "2", "LocalExecutor", TWO),
        ("", "3", "CeleryExecutor", Executor(3)),
    ],
)
def test_the_executor_is_what_make_or_airflows_variable_asks_for(
    executor: str, workers: str, variable: str, expected: Executor | None
) -> None:
    assert asked(executor, workers, LOCAL, {"AIRFLOW__CORE__EXECUTOR": variable}) == expected


def test_celery_without_a_number_has_as_many_workers_as_the_last_time() -> None:
    assert asked("celery", "", TWO, {}) == TWO


@pytest.mark.parametrize(
    ("executor", "workers", "variable", "said"),
    [
        ("dask", "", "", "EXECUTOR is 'dask', .* set it to 'local' or 'celery'"),
        ("", "", "KubernetesExecutor", "AIRFLOW__CORE__EXECUTOR is 'KubernetesExecutor', .* or unset"),
        ("", "2", "", "WORKERS is the number of Celery workers: set EXECUTOR=celery too"),
        ("celery", "0", "", "WORKERS is '0': set it to a number from 1 to 64"),
        ("celery", "two", "", "WORKERS is 'two'"),
    ],
)
def test_what_there_is_not_is_refused(executor: str, workers: str, variable: str, said: str) -> None:
    with pytest.raises(StackError, match=said):
        asked(executor, workers, LOCAL, {"AIRFLOW__CORE__EXECUTOR": variable})


def test_the_choice_is_kept(home: Home) -> None:
    assert Executor.saved(home) == LOCAL
    TWO.save(home)
    assert Executor.saved(home) == TWO


def test_local_has_neither_broker_nor_worker_and_trainings_have_half_of_the_slots(home: Home) -> None:
    found = environment.variables(home, PORTS, keep(home))
    assert found["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert int(found["AIRFLOW__CORE__PARALLELISM"]) == 2 * slots() == max(4, 2 * (os.cpu_count() or 1))
    assert not [name for name in found if "CELERY" in name]
    assert set(programs(home, LOCAL)) == set(airflow.COMPONENTS)
    assert redis.NAME not in stack._names(LOCAL)


def test_two_workers_take_the_nights_and_one_the_trainings(home: Home) -> None:
    found = programs(home, TWO)
    assert set(found) == {*airflow.COMPONENTS, "worker-1", "worker-2", "worker-training"}
    queues = {name: found[name].command[-1] for name in TWO.queues}
    assert queues == {"worker-1": "default", "worker-2": "default", "worker-training": "training"}
    assert {*TWO.queues, redis.NAME} <= set(stack._names(TWO))


@pytest.mark.parametrize("executor", [LOCAL, TWO])
def test_a_lost_task_is_waited_for_a_minute(home: Home, executor: Executor) -> None:
    found = environment.variables(home, PORTS, keep(home), executor)
    assert found["AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT"] == "60"
    assert found["AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL"] == "5"
    assert found["AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL"] == "30"


def test_no_try_is_handed_out_twice(home: Home) -> None:
    found = environment.variables(home, PORTS, keep(home), TWO)
    assert found["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
    assert int(found["AIRFLOW__CORE__PARALLELISM"]) == 3 * int(found["AIRFLOW__CELERY__WORKER_CONCURRENCY"])
    visibility = found["AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT"]
    assert int(visibility) > 2 * 3600


def test_a_worker_has_no_key_to_airflow_itself(home: Home) -> None:
    secrets = keep(home)
    control = {secrets.fernet_key, secrets.jwt_secret, secrets.api_secret}
    worker = programs(home, TWO)["worker-1"].environment
    assert not control & set(worker.values())
    assert not [name for name in worker if "SQL_ALCHEMY_CONN" in name]
    assert {"EVERGREEN_STORAGE", "AIRFLOW_CONN_RENTALS_DB", "AIRFLOW__CELERY__BROKER_URL"} <= worker.keys()


def test_the_broker_asks_for_a_password_that_no_list_of_processes_shows(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis, "_binary", lambda: Path("/opt/valkey-server"))
    secrets = keep(home)
    service = redis.service(home, PORTS, secrets)
    file = home.redis / "redis.conf"
    assert list(service.command) == ["/opt/valkey-server", str(file)]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    lines = file.read_text().splitlines()
    assert {"bind 127.0.0.1", "port 1006", f"requirepass {secrets.redis_password}"} <= set(lines)
    assert secrets.redis_password in redis.url(PORTS, secrets, 0)


def test_another_executor_than_the_one_that_runs_is_refused(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    TWO.save(home)
    monkeypatch.setattr(stack.processes, "find", lambda home, name: name == "scheduler" or None)
    assert stack._executor(home, None) == TWO
    with pytest.raises(StackError, match="runs with CeleryExecutor with WORKERS=2: run 'make down' before"):
        stack._executor(home, LOCAL)
