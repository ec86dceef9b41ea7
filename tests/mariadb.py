"""A MariaDB of its own, at a free port of 127.0.0.1, in a temporary folder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql

from evergreen.connections import Connection
from tests.servers import unused_port, wait_until_ready


def is_installed() -> bool:
    """Whether this machine has a MariaDB (Debian: apt-get install mariadb-server)."""
    return bool(shutil.which("mariadbd") and shutil.which("mariadb-install-db"))


@contextmanager
def mariadb(*options: str) -> Iterator[Connection]:
    """A running server, stopped at the end; its login may do everything there."""
    folder, port = Path(tempfile.mkdtemp()), unused_port()
    user = ["--user=root"] if os.geteuid() == 0 else []
    new = [f"--datadir={folder}/data", "--skip-test-db", "--auth-root-authentication-method=normal"]
    subprocess.run(["mariadb-install-db", "--no-defaults", *new, *user], check=True, capture_output=True)
    places = [f"--datadir={folder}/data", f"--socket={folder}/socket", f"--pid-file={folder}/pid"]
    address = ["--bind-address=127.0.0.1", f"--port={port}"]
    quick = ["--innodb-flush-log-at-trx-commit=2"]
    log = (folder / "log").open("wb")
    server = subprocess.Popen(
        ["mariadbd", "--no-defaults", *places, *address, *quick, *options, *user], stdout=log, stderr=log
    )

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


def run(connection: Connection, *statements: str) -> list[tuple[object, ...]]:
    """Run statements in UTC and without strict checks; the rows of the last one."""
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
