"""Start services detached, find them again, and stop them and their children, but no other processes.

A service runs in its own session, so that its children can be found even after it was killed. Its record
holds the process's start time and the running system's identity, so that a process id that the system has
reused is never taken for ours.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from deploy.embedded.errors import StackError
from deploy.embedded.home import Home, write_atomically
from deploy.ports import is_listening

_SAME_START = 0.05


@dataclass(frozen=True)
class Service:
    """A program to run in the background. The environment is the whole of it: nothing is inherited."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    port: int | None = None
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 20.0
    """Seconds to end by itself before it is killed."""


@dataclass(frozen=True)
class _Record:
    """A started service: its process, when that began (seconds since 1970), and in which system."""

    pid: int
    started: float
    system: str


def start(home: Home, service: Service) -> None:
    """Start a service in the background, in a session of its own, with its output in a log file."""
    with log_path(home, service.name).open("ab") as log:
        process = subprocess.Popen(
            list(service.command),
            env=dict(service.environment),
            cwd=home.root,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=service.user,
            group=service.user,
            extra_groups=[] if service.user else None,
        )
    record = _Record(process.pid, psutil.Process(process.pid).create_time(), _system())
    write_atomically(_record_path(home, service.name), json.dumps(asdict(record)))


def find(home: Home, name: str) -> psutil.Process | None:
    """The running process of a service; None if it is not running."""
    record = _read_record(home, name)
    if record is None:
        return None
    leader = _alive(record.pid)
    if leader is None or abs(leader.create_time() - record.started) > _SAME_START:
        return None
    return leader


def leftovers(home: Home, name: str) -> list[psutil.Process]:
    """Every living process of a service: itself, its children, and what it left behind when it died."""
    record = _read_record(home, name)
    if record is None:
        return []
    leader = find(home, name)
    if leader is None and _alive(record.pid) is not None:
        # The id belongs to another process now; the system reuses it only when our session is empty.
        return []
    found = {process.pid: process for process in _session(record.pid)}
    for process in list(found.values()):
        for child in _children(process):
            found[child.pid] = child
    return list(found.values())


def stop(home: Home, name: str, stop_signal: signal.Signals = signal.SIGTERM, grace: float = 20.0) -> bool:
    """End a service and everything it started; returns whether anything was running.

    The service gets `stop_signal` and `grace` seconds; what is alive then is killed.
    """
    members = leftovers(home, name)
    leader = find(home, name)
    if leader is not None:
        _send(leader, stop_signal)
        _wait([leader], grace)
    rest = {process.pid: process for process in [*members, *leftovers(home, name)]}
    survivors = [process for process in rest.values() if is_alive(process)]
    for process in survivors:
        _send(process, signal.SIGTERM)
    for process in _wait(survivors, 5.0 if survivors else 0.0):
        _send(process, signal.SIGKILL)
    _wait(survivors, 5.0)
    _record_path(home, name).unlink(missing_ok=True)
    return bool(members)


def started(home: Home) -> list[str]:
    """Names of the services that have a record, running or not."""
    return sorted(path.stem for path in home.run.glob("*.json"))


def ended(home: Home) -> list[str]:
    """Names of the services that have ended and were not stopped; none of before a restart of the machine."""
    return [name for name in started(home) if _read_record(home, name) and find(home, name) is None]


def wait_until_listening(home: Home, service: Service, timeout: float) -> None:
    """Wait until the service accepts connections.

    Raises `StackError`, with the end of its log, if it ends or `timeout` seconds pass first.
    """
    assert service.port is not None
    deadline = time.monotonic() + timeout
    while not is_listening(service.port):
        if find(home, service.name) is None:
            raise StackError(f"{service.name} ended while starting: {explain(home, service.name)}")
        if time.monotonic() > deadline:
            raise StackError(
                f"{service.name} does not listen on port {service.port} after {timeout:.0f} s: "
                f"{explain(home, service.name)}"
            )
        time.sleep(0.05)


def is_alive(process: psutil.Process) -> bool:
    """Whether a process runs still: it may end at any moment, also between two questions about it."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def log_path(home: Home, name: str) -> Path:
    """The log file of a service."""
    return home.logs / f"{name}.log"


def explain(home: Home, name: str) -> str:
    """The last line of a service's log, and where the rest is."""
    path = log_path(home, name)
    lines = path.read_text(errors="replace").split("\n") if path.exists() else []
    last = next((line.strip() for line in reversed(lines) if line.strip()), "its log is empty")
    return f"{last[:300]} (more in {path})"


def _record_path(home: Home, name: str) -> Path:
    return home.run / f"{name}.json"


def _read_record(home: Home, name: str) -> _Record | None:
    try:
        record = json.loads(_record_path(home, name).read_text())
    except (FileNotFoundError, ValueError):
        return None
    return _Record(**record) if record.get("system") == _system() else None


def _system() -> str:
    """An identity that changes when the machine, or the container of these process ids, restarts."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    if not boot.exists():
        return f"{psutil.boot_time():.0f}"
    return f"{boot.read_text().strip()}/{Path('/proc/self/ns/pid').stat().st_ino}"


def _session(leader: int) -> list[psutil.Process]:
    members = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader and is_alive(process):
                members.append(process)
        except (ProcessLookupError, PermissionError):
            continue
    return members


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _alive(pid: int) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None
    return process if is_alive(process) else None


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def _wait(processes: Sequence[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait for processes to end; returns those that have not."""
    deadline = time.monotonic() + seconds
    remaining = [process for process in processes if is_alive(process)]
    while remaining and time.monotonic() < deadline:
        time.sleep(0.05)
        remaining = [process for process in remaining if is_alive(process)]
    return remaining
