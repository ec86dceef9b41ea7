"""A Docker engine for the tests: the one that runs, else one of our own that is ended afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import ROOT

HOME = ROOT / ".evergreen" / "containers"
INSTALL = "apt-get install docker.io docker-compose debootstrap"


class MissingError(Exception):
    """What the tests need is not on this machine; the message names the remedy."""


def say(line: str) -> None:
    """A line of the output that is seen while the tests run."""
    print(f"containers: {line}", flush=True)


def run(command: Sequence[str], timeout: float = 600, **options: object) -> str:
    """The standard output of a command; raises `AssertionError` with the end of what it said if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout, **options)
    assert done.returncode == 0, f"{' '.join(command[:6])}: {(done.stdout + done.stderr)[-3000:]}"
    return done.stdout


@contextmanager
def engine() -> Iterator[None]:
    """A running engine, that `docker` finds; raises `MissingError` if none can be had."""
    if shutil.which("docker") is None:
        raise MissingError(f"no docker: {INSTALL}")
    if _version():
        say(f"the engine that runs here, {_version()}")
        yield
        return
    if shutil.which("dockerd") is None:
        raise MissingError(f"no Docker engine runs here, and there is no dockerd to start: {INSTALL}")
    HOME.mkdir(parents=True, exist_ok=True)
    socket = f"unix://{HOME}/docker.sock"
    places = [f"--data-root={HOME}/data", f"--exec-root={HOME}/exec", f"--pidfile={HOME}/docker.pid"]
    log = (HOME / "dockerd.log").open("w")
    process = subprocess.Popen(["dockerd", f"--host={socket}", *places], stdout=log, stderr=log)
    before = os.environ.get("DOCKER_HOST")
    os.environ["DOCKER_HOST"] = socket
    try:
        _wait(process)
        say(f"an engine of our own, {_version()}, in {HOME}")
        yield
    finally:
        os.environ.pop("DOCKER_HOST")
        if before:
            os.environ["DOCKER_HOST"] = before
        process.terminate()
        process.wait(60)
        # It leaves this mounted, and `make clean` could not remove the folder.
        subprocess.run(["umount", HOME / "exec" / "netns" / "default"], capture_output=True, check=False)
        say("our engine has ended")


def compose() -> list[str]:
    """The command of compose: version 2 where it is, else 1; raises `MissingError` if there is neither."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) is None:
            continue
        done = subprocess.run([*command, "version", "--short"], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            say(f"{' '.join(command)} {done.stdout.strip()}")
            return command
    raise MissingError(f"neither docker compose nor docker-compose: {INSTALL}")


def _version() -> str:
    asked = ["docker", "version", "--format", "{{.Server.Version}}"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _wait(process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not _version():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            last = Path(HOME / "dockerd.log").read_text().splitlines()[-1:]
            raise MissingError(f"dockerd does not start: {' '.join(last)}")
        time.sleep(0.5)
