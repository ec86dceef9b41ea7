"""The whole stack: up, down and status."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from deploy.embedded import (
    airflow,
    environment,
    keeper,
    lock,
    postgres,
    processes,
    redis,
    s3,
    secrets,
    serving,
    weather,
)
from deploy.embedded.errors import StackError
from deploy.embedded.executor import LOCAL, Executor, started_workers, wait_until_ready
from deploy.embedded.home import Home, Ports, choose_ports
from deploy.embedded.processes import Service
from deploy.ports import is_free

Say = Callable[[str], None]

# In the order in which they are stopped: the users of PostgreSQL before PostgreSQL.
_STOP_ORDER = (
    keeper.NAME,
    *(serving.NAME, "source-feed", "weather"),
    *("scheduler", "triggerer", "dag-processor", "api-server"),
    redis.NAME,
    "s3",
)


@dataclass(frozen=True)
class Stack:
    """A stack's home, ports, secrets and executor: all that is needed to talk to it."""

    home: Home
    ports: Ports
    secrets: secrets.Secrets
    executor: Executor = LOCAL

    @classmethod
    def of(cls, home: Home) -> Stack:
        """The stack last started in this home; raises `StackError` if there is none."""
        ports = home.saved_ports()
        if ports is None:
            raise StackError(f"no stack has been started in {home.root}: run 'make up'")
        return cls(home, ports, secrets.keep(home), Executor.saved(home))

    def services(self) -> list[Service]:
        """All programs of the running stack but its keeper, those that others need first."""
        home, ports, executor = self.home, self.ports, self.executor
        found = environment.for_programs(environment.read(home))
        return [
            postgres.service(home, ports),
            s3.service(home, ports, self.secrets),
            *([redis.service(home, ports, self.secrets)] if executor.workers else []),
            *weather.services(home, ports, self.secrets),
            *airflow.services(found, ports, executor),
            serving.service(found, ports),
        ]

    def start_again(self, name: str) -> None:
        """Start a program that has ended, once what it left behind has ended too.

        One that is none of the stack's any more is forgotten. Raises `StackError` if it does not start.
        """
        found = [each for each in self.services() if each.name == name]
        processes.stop(self.home, name)
        if name == postgres.NAME:
            postgres.forget_dead_server(self.home)
        start_missing(self.home, found, say=lambda text: None)
        if name == s3.NAME:
            s3.create_bucket(self.ports, self.secrets)  # one that was empty is not on disk

    def state(self) -> dict[str, bool]:
        """Which of the services run."""
        return {name: processes.find(self.home, name) is not None for name in _names(self.executor)}

    def require_running(self) -> None:
        """Raise `StackError` unless every service runs."""
        dead = [name for name, alive in self.state().items() if not alive]
        if dead:
            raise StackError(f"not running: {', '.join(dead)}: run 'make up'")


def up(home: Home, say: Say = print, asked: Executor | None = None) -> Stack:
    """Start what does not run, with `asked` (else the one that runs, else LocalExecutor) as executor.

    Returns when all of it answers. Idempotent. After a crash it stops leftover processes and starts them
    again; from then on the keeper does. Raises `StackError` for a port that another program uses, a service
    that does not start, and another executor than that of the stack that runs.
    """
    home.create()
    with lock.held(home):
        executor = _executor(home, asked)
        stack = Stack(home, _ports(home, executor), secrets.keep(home), executor)
        if all(stack.state().values()):
            say(f"The stack is already running in {home.root}")
            return stack
        began = datetime.now(tz=UTC)
        found = environment.variables(home, stack.ports, stack.secrets, stack.executor)
        _clear_leftovers(home)
        _require_free_ports(stack)
        home.save_ports(stack.ports)
        stack.executor.save(home)
        environment.write(home, found)
        _start_storage(stack, say)
        airflow.prepare(home, stack.secrets, environment.for_programs(found))
        start_missing(home, stack.services(), say)
        airflow.wait_until_healthy(home, stack.ports, since=began)
        wait_until_ready(stack.executor, home, stack.ports, stack.secrets)
        start_missing(home, [keeper.service(home)], say)
        seconds = (datetime.now(tz=UTC) - began).total_seconds()
        say(f"The stack is up after {seconds:.0f} s. Its state is in {home.root}")
    return stack


def up_stores(home: Home, say: Say = print) -> Stack:
    """Start only PostgreSQL and the S3 server; otherwise as `up`."""
    home.create()
    with lock.held(home):
        stack = Stack(home, _ports(home, LOCAL), secrets.keep(home))
        _clear_leftovers(home)
        _require_free_ports(stack)
        home.save_ports(stack.ports)
        environment.write(home, environment.variables(home, stack.ports, stack.secrets))
        _start_storage(stack, say)
    return stack


def down(home: Home, say: Say = print) -> None:
    """End every service that `up` started here, with its children, and nothing else."""
    if not home.root.exists():
        say(f"There is no stack in {home.root}")
        return
    with lock.held(home):
        names = (*started_workers(home), *_STOP_ORDER, postgres.NAME)
        running = [name for name in names if processes.leftovers(home, name)]
        processes.stop(home, keeper.NAME)
        _stop_airflow(home)
        for name in _STOP_ORDER:
            processes.stop(home, name)
        processes.stop(home, postgres.NAME, signal.SIGINT)
        say(f"Stopped: {', '.join(running)}" if running else f"Nothing was running in {home.root}")


def describe(stack: Stack, say: Say = print) -> None:
    """Say where everything is and how to log in."""
    describe_ui(stack, say)
    say(f"  weather API  {environment.weather_url(stack.ports)}/v1/hourly")
    say(f"  predictions  {serving.url(stack.ports)}/v1/pipelines/<name>/predict  (docs/how-to/serve.md)")
    say(f"  PostgreSQL   127.0.0.1:{stack.ports.postgres}, S3 {s3.endpoint(stack.ports)}")
    say(f"  settings     {stack.home.env_file}  (for a shell: set -a; . {stack.home.env_file}; set +a)")
    say(f"  logs         {stack.home.logs}")


def describe_ui(stack: Stack, say: Say = print) -> None:
    """Say where the UI is and how to log in."""
    say(f"  Airflow UI   {airflow.url(stack.ports)}  (user {airflow.ADMIN}, password in the next line)")
    say(f"  password     {stack.secrets.admin_password}")


def _names(executor: Executor) -> tuple[str, ...]:
    left_out = () if executor.workers else (redis.NAME,)
    names = (postgres.NAME, *reversed(_STOP_ORDER), *executor.queues)
    return tuple(name for name in names if name not in left_out)


def _executor(home: Home, asked: Executor | None) -> Executor:
    """The executor of the programs that run; else what is asked for.

    Raises `StackError` if Airflow runs with another one.
    """
    saved = Executor.saved(home)
    if not any(processes.find(home, name) for name in (*airflow.COMPONENTS, *started_workers(home))):
        return asked or LOCAL
    if asked not in (None, saved):
        raise StackError(
            f"the stack in {home.root} runs with {saved}: run 'make down' before one with {asked}"
        )
    return saved


def _stop_airflow(home: Home) -> None:
    # All are signalled first and then waited for, because each takes seconds to end.
    names = [*started_workers(home), *airflow.COMPONENTS]
    for name in names:
        if process := processes.find(home, name):
            process.send_signal(signal.SIGTERM)
    for name in names:
        processes.stop(home, name)


def _start_storage(stack: Stack, say: Say) -> None:
    home, ports = stack.home, stack.ports
    if processes.find(home, postgres.NAME) is None:
        # Airflow's programs do not all survive the loss of their database.
        _stop_airflow(home)
        postgres.prepare(home, stack.secrets)
    broker = [redis.service(home, ports, stack.secrets)] if stack.executor.workers else []
    stores = [postgres.service(home, ports), s3.service(home, ports, stack.secrets)]
    start_missing(home, [*stores, *broker], say)
    _create_databases(stack, timeout=120)
    s3.create_bucket(ports, stack.secrets)


def start_missing(home: Home, services: list[Service], say: Say) -> None:
    """Start those of the services that do not run yet, and wait until each answers."""
    missing = [service for service in services if processes.find(home, service.name) is None]
    for service in missing:
        say(f"  starting {service.name}" + (f" on port {service.port}" if service.port else ""))
        processes.start(home, service)
    for service in missing:
        if service.port and service.name != "api-server":
            processes.wait_until_listening(home, service, timeout=180)


def _require_free_ports(stack: Stack) -> None:
    """Raise `StackError` if a port of a service that does not run is in use, before anything is started."""
    for name, port in _needed(stack.ports, stack.executor).items():
        service = {"ui": "api-server"}.get(name, name)
        if processes.find(stack.home, service) is None and not is_free(port):
            raise StackError(
                f"port {port} for {service} is taken by another program: stop that one, or choose another "
                f"port with {Ports.variable(name)}=<port> (EVERGREEN_PORTS=free picks free ones for all)"
            )


def _needed(ports: Ports, executor: Executor) -> dict[str, int]:
    """The ports by their names, without that of the broker where there is none."""
    return {name: port for name, port in asdict(ports).items() if executor.workers or name != redis.NAME}


def _ports(home: Home, executor: Executor) -> Ports:
    """The ports of the services that run; else what the environment asks for."""
    saved = home.saved_ports()
    if saved and any(processes.find(home, name) for name in processes.started(home)):
        return saved
    chosen = choose_ports()
    if saved and not any(Ports.variable(name) in os.environ for name in asdict(saved)):
        # Keep the ports of the last start if possible, so that addresses people noted down keep working.
        free = all(is_free(port) for port in _needed(saved, executor).values())
        return saved if free else chosen
    return chosen


def _clear_leftovers(home: Home) -> None:
    for name in processes.started(home):
        if processes.find(home, name) is None:
            processes.stop(home, name)


def _create_databases(stack: Stack, timeout: float) -> None:
    """Create them as soon as PostgreSQL has recovered from its last stop."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            postgres.create_databases(stack.ports, stack.secrets)
        except StackError:
            if processes.find(stack.home, postgres.NAME) is None:
                why = processes.explain(stack.home, postgres.NAME)
                raise StackError(f"postgres ended while starting: {why}") from None
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
