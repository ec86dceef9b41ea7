"""A MariaDB of its own where one is installed, and files for the embedded databases."""

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

import pymysql
import pytest

from evergreen.connections import Connection
from tests.servers import unused_port, wait_until_ready


@pytest.fixture(scope="session")
def _mariadb_server() -> Iterator[Connection]:
    """A MariaDB at a free port of 127.0.0.1, in a temporary folder."""
    daemon, install = shutil.which("mariadbd"), shutil.which("mariadb-install-db")
    if not daemon or not install:
        pytest.skip("mariadbd is not installed here (Debian: apt-get install mariadb-server)")
    folder, port = Path(tempfile.mkdtemp()), unused_port()
    root_login = ["--auth-root-authentication-method=normal"]
    user = ["--user=root"] if os.geteuid() == 0 else []
    subprocess.run(
        [install, "--no-defaults", f"--datadir={folder}/data", "--skip-test-db", *user, *root_login],
        check=True,
        capture_output=True,
    )
    options = [f"--datadir={folder}/data", "--bind-address=127.0.0.1", f"--port={port}"]
    options += [f"--socket={folder}/socket", f"--pid-file={folder}/pid", "--innodb-flush-log-at-trx-commit=2"]
    log = (folder / "log").open("wb")
    server = subprocess.Popen([daemon, "--no-defaults", *options, *user], stdout=log, stderr=log)

    def root() -> pymysql.Connection:
        return pymysql.connect(unix_socket=f"{folder}/socket", user="root", autocommit=True)

    try:
        wait_until_ready(lambda: root().close(), server, folder / "log")
        with root() as session, session.cursor() as cursor:
            cursor.execute("CREATE USER tester IDENTIFIED BY 'not a secret'")
            cursor.execute("GRANT ALL ON *.* TO tester")
        yield Connection("shop_db", "mysql", "127.0.0.1", port, "tester", "not a secret")
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(120)
        log.close()
        shutil.rmtree(folder)


@pytest.fixture
def mariadb_server(_mariadb_server: Connection) -> Iterator[Connection]:
    """A connection to a fresh, empty database of a real MariaDB."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    mysql(_mariadb_server, f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    yield replace(_mariadb_server, schema=name)
    mysql(_mariadb_server, f"DROP DATABASE {name}")


def mysql(connection: Connection, *statements: str) -> list[tuple[object, ...]]:
    """Run statements in a session of their own; the rows of the last one."""
    session = pymysql.connect(
        host=connection.host or "",
        port=connection.port or 0,
        user=connection.login,
        password=connection.password or "",
        database=connection.schema,
        autocommit=True,
        charset="utf8mb4",
        init_command="SET time_zone = '+00:00', sql_mode = ''",
    )
    with session, session.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return list(cursor.fetchall())


@pytest.fixture(params=["sqlite", "duckdb", "mysql"])
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> Connection:
    """A database that predictions are written to."""
    if request.param == "mysql":
        found: Connection = request.getfixturevalue("mariadb_server")
        return found
    return Connection("shop_db", request.param, str(tmp_path / f"shop.{request.param}"))
