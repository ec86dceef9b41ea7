"""Airflow 3.3 on the embedded PostgreSQL: its settings, its four programs, and its workers if it has any."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import httpx

from deploy.embedded import executor as executors
from deploy.embedded import postgres, processes
from deploy.embedded.errors import StackError
from deploy.embedded.executor import LOCAL, Executor
from deploy.embedded.home import HOST, REPOSITORY, Home, Ports, write_atomically
from deploy.embedded.processes import Service
from deploy.embedded.secrets import Secrets
from evergreen.stages import TRAIN

ADMIN = "admin"
CONFIG_FOLDER = Path(__file__).parent / "config"
COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
_LONGEST_TASK = 12 * 3600


def url(ports: Ports) -> str:
    """The address of the UI."""
    return f"http://{HOST}:{ports.ui}"


def settings(home: Home, ports: Ports, secrets: Secrets, executor: Executor = LOCAL) -> dict[str, str]:
    """The environment variables that make `airflow` this stack's Airflow."""
    database = (
        f"{postgres.LOGIN}:{secrets.postgres_password}@{HOST}:{ports.postgres}/{postgres.AIRFLOW_DATABASE}"
    )
    options: dict[str, dict[str, object]] = {
        "core": {
            "dags_folder": os.environ.get("EVERGREEN_DAGS") or REPOSITORY / "dags",
            "plugins_folder": REPOSITORY / "plugins",
            "load_examples": False,
            "fernet_key": secrets.fernet_key,
            "simple_auth_manager_users": f"{ADMIN}:admin",
            "simple_auth_manager_passwords_file": _passwords_file(home),
            "execution_api_server_url": f"{url(ports)}/execution/",
            # The default resolves this machine's full name by DNS.
            "hostname_callable": "socket.gethostname",
        },
        "database": {"sql_alchemy_conn": f"postgresql+psycopg2://{database}"},
        "logging": {
            "base_log_folder": home.logs / "airflow",
            "dag_processor_child_process_log_directory": home.logs / "airflow" / "dag_processor",
            "colored_console_log": False,
        },
        "api": {
            "host": HOST,
            "port": ports.ui,
            "base_url": url(ports),
            "workers": 1,
            "secret_key": secrets.api_secret,
            "instance_name": "Evergreen",
        },
        "api_auth": {"jwt_secret": secrets.jwt_secret},
        # A task's token must outlive its training.
        "execution_api": {"jwt_expiration_time": _LONGEST_TASK},
        "scheduler": {
            # With the default, twenty running runs would starve a backfill's queued runs.
            "max_dagruns_per_loop_to_schedule": 200,
            "max_dagruns_to_create_per_loop": 50,
            "scheduler_idle_sleep_time": 0.3,
        },
        # A busy machine answers later than after Airflow's 5 s, and to ask again makes it busier.
        "workers": {"execution_api_timeout": 30},
        "dag_processor": {"refresh_interval": 10, "min_file_process_interval": 30},
        "metrics": {"statsd_on": False, "otel_on": False},
        "traces": {"otel_on": False},
    }
    for section, values in executors.settings(executor, ports, secrets).items():
        options.setdefault(section, {}).update(values)
    variables = {
        f"AIRFLOW__{section.upper()}__{name.upper()}": str(value)
        for section, values in options.items()
        for name, value in values.items()
    }
    return {
        **variables,
        "AIRFLOW_HOME": str(home.airflow),
        "PYTHONPATH": os.pathsep.join(
            str(folder) for folder in (CONFIG_FOLDER, REPOSITORY / "include", REPOSITORY / "plugins")
        ),
        "GX_ANALYTICS_ENABLED": "false",
        # Training may use every core, but linear algebra must not start threads that a forked task would
        # lose.
        "OMP_NUM_THREADS": str(os.cpu_count() or 1),
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }


def services(environment: dict[str, str], ports: Ports, executor: Executor = LOCAL) -> list[Service]:
    """The api-server, scheduler, dag-processor and triggerer, and the workers of `executor`."""
    commands = {
        "api-server": ["api-server", "--host", HOST, "--port", str(ports.ui), "--workers", "1"],
        # Logs are read from the local disk, so the log servers, which listen on all addresses, stay off.
        "scheduler": ["scheduler", "--skip-serve-logs"],
        "dag-processor": ["dag-processor"],
        "triggerer": ["triggerer", "--skip-serve-logs"],
    }
    programs = [
        Service(
            name=name,
            command=[str(executable()), *commands[name]],
            environment=environment,
            port=ports.ui if name == "api-server" else None,
            stop_signal=signal.SIGTERM,
            grace=15.0,
        )
        for name in COMPONENTS
    ]
    return [*programs, *_workers(environment, executor)]


def _workers(environment: dict[str, str], executor: Executor) -> list[Service]:
    return [
        Service(
            name=name,
            command=[
                *(str(executable()), "celery", "worker", "--skip-serve-logs"),
                *("--celery-hostname", name, "--queues", queue),
            ],
            environment=executors.worker_environment(environment),
            grace=15.0,
        )
        for name, queue in executor.queues.items()
    ]


def prepare(home: Home, secrets: Secrets, environment: dict[str, str]) -> None:
    """Write the login, bring the metadata database to this Airflow's version, and make the pool."""
    write_atomically(_passwords_file(home), json.dumps({ADMIN: secrets.admin_password}))
    stamp = home.airflow / "migrated"
    # The database may have been removed by hand, so the stamp names the cluster that was migrated.
    inode = (home.postgres / "PG_VERSION").stat().st_ino
    state = f"{version('apache-airflow')} {inode} pool {TRAIN.queue}"
    if stamp.exists() and stamp.read_text() == state:
        return
    _command(home, environment, "db", "migrate")
    pool = (TRAIN.queue, str(executors.slots()), "Tasks of trainings at once")
    _command(home, environment, "pools", "set", *pool)
    write_atomically(stamp, state)


def wait_until_healthy(home: Home, ports: Ports, since: datetime, timeout: float = 300) -> None:
    """Wait until all four components have reported a heartbeat after `since`.

    Raises `StackError` if one ends or `timeout` seconds pass first.
    """
    deadline = time.monotonic() + timeout
    while missing := silent(ports, since):
        for name in COMPONENTS:
            if processes.find(home, name) is None:
                raise StackError(f"airflow {name} ended while starting: {processes.explain(home, name)}")
        if time.monotonic() > deadline:
            raise StackError(
                f"airflow: no heartbeat of {', '.join(missing)} after {timeout:.0f} s: see {home.logs}"
            )
        time.sleep(0.3)


def _command(home: Home, environment: dict[str, str], *arguments: str) -> None:
    """Run one of Airflow's commands; raises `StackError`, with the end of its log, if it fails."""
    with processes.log_path(home, "migrate").open("ab") as output:
        done = subprocess.run(
            [str(executable()), *arguments],
            env=environment,
            cwd=home.root,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        called = " ".join(arguments[:2])
        raise StackError(f"'airflow {called}' failed: {processes.explain(home, 'migrate')}")


def executable() -> Path:
    """The `airflow` command of the running interpreter's environment."""
    return Path(sys.executable).parent / "airflow"


def silent(ports: Ports, since: datetime) -> list[str]:
    """The components that have not reported since then: a stack that crashed left its old reports behind."""
    try:
        report = httpx.get(f"{url(ports)}/api/v2/monitor/health", timeout=10).json()
    except (httpx.HTTPError, ValueError):
        return ["api-server"]
    silent = []
    for name in ("scheduler", "dag_processor", "triggerer"):
        heartbeat = (report.get(name) or {}).get(f"latest_{name}_heartbeat")
        if heartbeat is None or datetime.fromisoformat(heartbeat) < since:
            silent.append(name)
    return silent


def _passwords_file(home: Home) -> Path:
    return home.airflow / "passwords.json"
