"""Several workers on one port: one is killed under load, and the others answer on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from tests.campaign import rounds
from tests.integration.serving.conftest import Worlds
from tests.integration.serving.running import wait_for
from tests.integration.serving.test_follow import PREDICT, ROW
from tests.integration.serving.worlds import OWN, World

WORKERS, CLIENTS, KILLS = 2, rounds(3, 16), rounds(1, 50)
PAUSE = rounds(200, 0) / 1000
COUNTED = re.compile(r'^evergreen_serving_requests_total\{pipeline="iris",.*\} (\S+)$', re.MULTILINE)
EVERGREEN = Path(sys.executable).parent / "evergreen"


def test_a_killed_worker_is_replaced_while_the_others_answer(
    worlds: Worlds, tmp_path: Path, tell: Any
) -> None:
    world = worlds("iris")
    with serving(world, tmp_path) as (command, address):
        wait_for(lambda: answering(address) == WORKERS)
        clients = [Client(address) for _ in range(CLIENTS)]
        try:
            for number in range(KILLS):
                _kill_one(command, address, clients, number % WORKERS)
        finally:
            for client in clients:
                client.stop()
        broken = sum(client.broken for client in clients)
        tell(f"{KILLS} workers killed under {CLIENTS} clients: {broken} requests on their connections broke")
        # What a client sent to the dead one has no answer; nobody else notices.
        assert broken <= KILLS * CLIENTS
        assert [client.refused for client in clients] == [[]] * CLIENTS
        assert {version for client in clients for version in client.versions} == {world.version}
        answered = sum(len(client.versions) for client in clients)
        # A request is counted after its answer: of one that was killed in between it is missing.
        assert answered - KILLS * CLIENTS <= counted(address) <= answered + broken
        started = [command.pid, *workers_of(command)]
        command.send_signal(signal.SIGINT)
        assert command.wait(60) == 0
        # What was killed with its worker is gone once init has taken note of its end.
        wait_for(lambda: not any(map(in_group, started)))
        assert list((tmp_path / "tmp").iterdir()) == []


def _kill_one(command: subprocess.Popen[str], address: str, clients: list[Client], place: int) -> None:
    """Kill a worker once every client was answered again, and wait for another in its place."""
    before = [len(client.versions) for client in clients]
    wait_for(lambda: all(len(one.versions) > n + 5 for one, n in zip(clients, before, strict=True)))
    killed = workers_of(command)[place]
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: killed not in workers_of(command) and answering(address) == WORKERS)


class Client:
    """Asks for one row again and again, on one connection as long as that lives."""

    def __init__(self, address: str) -> None:
        self.versions: list[str] = []
        self.refused: list[str] = []
        self.broken = 0
        self._address, self._stopped = address, threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        with httpx.Client(base_url=self._address, timeout=60) as client:
            while not self._stopped.wait(PAUSE):
                try:
                    found = client.post(PREDICT, json={"rows": [ROW]})
                except httpx.HTTPError:
                    self.broken += 1
                    continue
                if found.status_code == 200:
                    self.versions.append(found.json()["version"])
                else:
                    self.refused.append(found.text)

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(60)
        assert not self._thread.is_alive()


@contextmanager
def serving(world: World, folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command as from a shell, and where it answers."""
    storage, made = world.pipeline.storage, folder / "tmp"
    made.mkdir()
    variables = {
        "EVERGREEN_PIPELINES": str(OWN),
        "EVERGREEN_STORAGE": storage.uri(),
        "AWS_ENDPOINT_URL": storage.credentials.endpoint_url or "",
        "AWS_ACCESS_KEY_ID": storage.credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": storage.credentials.secret_key,
        "TMPDIR": str(made),
    }
    log = folder / "log"
    with log.open("w") as written:
        command = subprocess.Popen(
            [EVERGREEN, "serve", "iris", "--port", "0", "--workers", str(WORKERS), "--every", "0.5"],
            env={**os.environ, **variables},
            stderr=written,
            text=True,
        )
    try:
        wait_for(lambda: "http://" in log.read_text() or command.poll() is not None)
        found = re.search(r"http://\S+:\d+", log.read_text())
        assert found, log.read_text()
        yield command, found.group()
    finally:
        command.kill()
        command.wait(60)


def workers_of(command: subprocess.Popen[str]) -> list[int]:
    children = Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text()
    return [int(pid) for pid in children.split()]


def answering(address: str) -> int:
    """How many workers take connections, once all of them that do are ready."""
    found = httpx.get(f"{address}/ready", timeout=60)
    return int(found.json()["workers"]) if found.status_code == 200 else 0


def in_group(pid: int) -> bool:
    """Whether the process, or one that it has started, still runs."""
    with suppress(ProcessLookupError):
        os.killpg(pid, 0)
        return True
    return False


def counted(address: str) -> int:
    """The requests for predictions that the figures have."""
    figures = httpx.get(f"{address}/metrics").text
    lines = re.findall(
        r'^evergreen_serving_requests_total\{pipeline="iris",.*\} (\S+)$', figures, re.MULTILINE
    )
    return round(sum(map(float, lines)))
