"""Where the embedded stack keeps its state, and on which ports it listens."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from deploy.embedded.errors import StackError
from deploy.ports import HOST

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Ports:
    """The TCP ports of the stack, all on 127.0.0.1. `EVERGREEN_<NAME>_PORT` moves one.

    Nobody but the stack asks for `redis`, so any free one is chosen.
    """

    ui: int = 8080
    postgres: int = 5433
    s3: int = 9000
    weather: int = 8090
    serving: int = 8100
    redis: int = 6379

    @staticmethod
    def variable(name: str) -> str:
        """The environment variable that moves the port called `name`."""
        return f"EVERGREEN_{name.upper()}_PORT"


@dataclass(frozen=True)
class Home:
    """The folder that holds everything the stack writes: `.evergreen/`, or `EVERGREEN_HOME`."""

    root: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Home:
        """The folder named by `EVERGREEN_HOME`, else `.evergreen/` in the repository."""
        return cls(Path(environment.get("EVERGREEN_HOME") or REPOSITORY / ".evergreen").absolute())

    @property
    def env_file(self) -> Path:
        """The file with the variables that a shell or the `evergreen` command needs."""
        return self.root / "env"

    @property
    def logs(self) -> Path:
        """The folder with one log file a service, and Airflow's own logs."""
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """The folder with one record a started service."""
        return self.root / "run"

    @property
    def airflow(self) -> Path:
        """Airflow's home folder."""
        return self.root / "airflow"

    @property
    def postgres(self) -> Path:
        """PostgreSQL's data folder."""
        return self.root / "postgres"

    @property
    def s3(self) -> Path:
        """The S3 server's data folder."""
        return self.root / "s3"

    @property
    def redis(self) -> Path:
        """The broker's data folder, which is there if there is a broker."""
        return self.root / "redis"

    @property
    def source(self) -> Path:
        """The folder with what `load` leaves for the weather API and for Airflow's schedule."""
        return self.root / "source"

    @property
    def secrets_file(self) -> Path:
        """The generated passwords and keys."""
        return self.root / "secrets.json"

    @property
    def ports_file(self) -> Path:
        """The ports chosen by the last `up`."""
        return self.root / "ports.json"

    @property
    def executor_file(self) -> Path:
        """Who runs the tasks, as chosen by the last `up`."""
        return self.root / "executor.json"

    @property
    def request_file(self) -> Path:
        """A night's rows as a request for predictions, which the demo leaves for people to send."""
        return self.root / "request.json"

    @property
    def lock_file(self) -> Path:
        """Held while the stack is being started or stopped."""
        return self.root / "lock"

    def create(self) -> None:
        """Make the folders. Others may pass through (PostgreSQL may run as a user of its own), not read."""
        private = (self.logs, self.run, self.airflow, self.s3, self.source)
        for folder in (self.root, *private):
            folder.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o711)
        for folder in private:
            folder.chmod(0o700)

    def saved_ports(self) -> Ports | None:
        """The ports of the last `up`; None if there was none."""
        try:
            return Ports(**json.loads(self.ports_file.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def save_ports(self, ports: Ports) -> None:
        """Keep `ports` for the commands that follow."""
        write_atomically(self.ports_file, json.dumps(asdict(ports)))


def choose_ports(environment: Mapping[str, str] = os.environ) -> Ports:
    """The default ports, moved by `EVERGREEN_<NAME>_PORT`, or free ones with `EVERGREEN_PORTS=free`.

    Raises `StackError` for a value that is no port number.
    """
    mode = environment.get("EVERGREEN_PORTS", "fixed")
    if mode not in ("fixed", "free"):
        raise StackError(f"EVERGREEN_PORTS is '{mode}': set it to 'fixed' or 'free'")
    free = _free_ports()
    ports = free if mode == "free" else Ports(redis=free.redis)
    for name in asdict(ports):
        variable = Ports.variable(name)
        if text := environment.get(variable):
            if not text.isdecimal() or not 0 < int(text) < 65536:
                raise StackError(f"{variable} is '{text}': set it to a port number from 1 to 65535")
            ports = replace(ports, **{name: int(text)})
    return ports


def write_atomically(path: Path, text: str, mode: int = 0o600) -> None:
    """Replace the file's content in one step; only its owner may read it unless `mode` says otherwise."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _free_ports() -> Ports:
    # All sockets stay open until each has its number, so that no number comes twice.
    sockets = {name: socket.socket() for name in asdict(Ports())}
    try:
        for each in sockets.values():
            each.bind((HOST, 0))
        return Ports(**{name: each.getsockname()[1] for name, each in sockets.items()})
    finally:
        for each in sockets.values():
            each.close()
