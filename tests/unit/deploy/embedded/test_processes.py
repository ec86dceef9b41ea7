from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable

import psutil
import pytest

from deploy import ports
from deploy.embedded import processes
from deploy.embedded.errors import StackError
from deploy.embedded.home import Home
from deploy.embedded.processes import Service

CHILD = (
    "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
)
PARENT = CHILD + "print('here', flush=True); time.sleep(60)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('here', flush=True); time.sleep(60)"
)


def service(program: str, port: int | None = None) -> Service:
    return Service("thing", [sys.executable, "-c", program], {"PATH": os.environ["PATH"]}, port=port)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def start(home: Home, program: str) -> psutil.Process:
    processes.start(home, service(program))
    until(lambda: "here" in processes.log_path(home, "thing").read_text())
    found = processes.find(home, "thing")
    assert found is not None
    return found


def test_stop_ends_a_service_and_its_children(home: Home) -> None:
    parent = start(home, PARENT)
    (child,) = parent.children()
    assert processes.stop(home, "thing")
    until(lambda: not processes.is_alive(parent) and not processes.is_alive(child))
    assert processes.find(home, "thing") is None
    assert processes.started(home) == []
    assert not processes.stop(home, "thing")


def test_what_a_killed_service_left_behind_is_found_and_ended(home: Home) -> None:
    parent = start(home, PARENT)
    (child,) = parent.children()
    parent.kill()
    until(lambda: processes.find(home, "thing") is None)
    assert [process.pid for process in processes.leftovers(home, "thing")] == [child.pid]
    assert processes.stop(home, "thing")
    until(lambda: not processes.is_alive(child))


def test_a_service_that_does_not_listen_to_reason_is_killed(home: Home) -> None:
    found = start(home, STUBBORN)
    began = time.monotonic()
    processes.stop(home, "thing", grace=0.3)
    until(lambda: not processes.is_alive(found))
    assert time.monotonic() - began < 50, "it would end by itself after a minute"


def test_a_number_that_belongs_to_another_process_now_is_left_alone(home: Home) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    try:
        start(home, PARENT)
        record_path = home.run / "thing.json"
        record = json.loads(record_path.read_text())
        processes.stop(home, "thing")
        # Ours began a minute before the stranger: as near as a number can come back.
        ours = psutil.Process(stranger.pid).create_time() - 60
        record_path.write_text(json.dumps({**record, "pid": stranger.pid, "started": ours}))
        assert processes.find(home, "thing") is None
        assert processes.leftovers(home, "thing") == []
        assert not processes.stop(home, "thing")
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_record_of_before_a_reboot_means_nothing(home: Home) -> None:
    found = start(home, PARENT)
    record_path = home.run / "thing.json"
    record = record_path.read_text()
    record_path.write_text(json.dumps({**json.loads(record), "system": "another boot"}))
    assert processes.find(home, "thing") is None
    assert not processes.stop(home, "thing")
    assert processes.is_alive(found)
    record_path.write_text(record)


def test_a_service_inherits_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_CALLER", "1")
    start(
        home,
        "import os, time; print('SECRET_OF_THE_CALLER' in os.environ, 'here', flush=True); time.sleep(60)",
    )
    assert "False here" in processes.log_path(home, "thing").read_text()


def test_a_service_that_ends_while_starting_is_explained(home: Home) -> None:
    ending = service("raise SystemExit('the disk is full')", port=1)
    processes.start(home, ending)
    with pytest.raises(
        StackError, match=r"thing ended while starting: the disk is full \(more in .*thing.log\)"
    ):
        processes.wait_until_listening(home, ending, timeout=120)


def test_a_service_that_never_listens_is_named(home: Home) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        silent = service("import time; time.sleep(60)", port=reserved.getsockname()[1])
        processes.start(home, silent)
        with pytest.raises(StackError, match="does not listen on port"):
            processes.wait_until_listening(home, silent, timeout=0.5)


def test_ports() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        assert not ports.is_listening(port)
        server.listen()
        assert ports.is_listening(port)
        assert not ports.is_free(port)
    assert ports.is_free(port)
