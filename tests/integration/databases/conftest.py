"""A MariaDB where one is installed, and files for the embedded databases."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from evergreen.connections import Connection
from tests import mariadb


@pytest.fixture(scope="session")
def _mariadb_server() -> Iterator[Connection]:
    if not mariadb.is_installed():
        pytest.skip("mariadbd is not installed here (Debian: apt-get install mariadb-server)")
    with mariadb.mariadb() as server:
        yield server


@pytest.fixture
def mariadb_server(_mariadb_server: Connection) -> Iterator[Connection]:
    """A connection to a fresh, empty database of a real MariaDB."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    mariadb.run(_mariadb_server, f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    yield replace(_mariadb_server, schema=name)
    mariadb.run(_mariadb_server, f"DROP DATABASE {name}")


@pytest.fixture(params=["sqlite", "duckdb", "mysql"])
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> Connection:
    """A database that predictions are written to."""
    if request.param == "mysql":
        found: Connection = request.getfixturevalue("mariadb_server")
        return found
    return Connection("shop_db", request.param, str(tmp_path / f"shop.{request.param}"))
