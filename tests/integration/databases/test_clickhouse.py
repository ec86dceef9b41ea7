"""ClickHouse as a source, by its own client on ClickHouse's engine in this process (chDB).

The engine and the client are a current ClickHouse's; what is not here is a server's network and its logins.
"""

from __future__ import annotations

import importlib.util
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from evergreen.connections import Connection
from evergreen.databases import clickhouse
from evergreen.databases.database import Database
from evergreen.databases.registry import DATABASES, session
from evergreen.errors import SourceError, UnavailableError
from evergreen.rows.batches import Rows
from evergreen.sources.sql.description import SqlSource
from evergreen.sources.sql.read import read_sql
from tests.clickhouse import clickhouse_server
from tests.integration.databases.types_page import documented, seen
from tests.servers import unused_port

DAY = (datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC))
HERE = Connection("shop_db", "clickhouse", "127.0.0.1", None, "me", "hidden word", None)
Run = Callable[..., None]

pytestmark = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("clickhouse_connect", "chdb")),
    reason="clickhouse-connect and chdb are not installed here (pip install clickhouse-connect chdb)",
)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs statements in an empty engine, which the connection's type then reads."""
    import clickhouse_connect

    def options(connection: Connection, seconds: int) -> dict[str, Any]:
        settings = clickhouse.client_options(connection, seconds)["settings"]
        return {"interface": "chdb", "settings": settings}

    entry = Database(
        "ClickHouse", "chdb", "clickhouse_connect", read=clickhouse.reader(options), backslashes=True
    )
    monkeypatch.setitem(DATABASES, "clickhouse", entry)
    client = clickhouse_connect.get_client(interface="chdb")

    def statements(*texts: str) -> None:
        for text in texts:
            client.command(text)

    try:
        yield statements
    finally:
        for (name,) in client.query("SHOW TABLES").result_rows:
            client.command(f"DROP TABLE {name}")
        client.close()


@pytest.fixture
def logged_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lets a client find the settings of a login with `readonly` of 1 or 2; the engine's is 0."""
    import clickhouse_connect

    client = clickhouse_connect.get_client(interface="chdb")
    kind, found = type(client), type(client)._apply_init_result
    client.close()

    def logged_in(readonly: int) -> None:
        def settings(client: Any, result: Any) -> None:
            found(client, result)
            names = client.server_settings if readonly == 1 else ["readonly"]
            fixed = {name: client.server_settings[name]._replace(readonly=1) for name in names}
            fixed["readonly"] = fixed["readonly"]._replace(value=str(readonly))
            client.server_settings = {**client.server_settings, **fixed}

        monkeypatch.setattr(kind, "_apply_init_result", settings)

    return logged_in


def read(folder: Path, bounds: Any = (None, None), query: str = "", **source: Any) -> Rows:
    if query:
        (folder / "q.sql").write_text(query)
        source["sql"] = "q.sql"
    described = SqlSource.model_validate({"conn_id": "shop_db", **source})
    return read_sql(described, HERE, folder, *bounds)


SALES = (
    "CREATE TABLE sales (sold DateTime, told DateTime64(6, 'Asia/Kolkata'), day Date, n Int32, name String) "
    "ENGINE = MergeTree ORDER BY n",
    "INSERT INTO sales SELECT toDateTime('2023-12-31 23:59:59', 'UTC') + number, "
    "toDateTime64('2023-12-31 23:59:59.999999', 6, 'UTC') + number, '2024-01-01', number, 'a%s:b' "
    "FROM numbers(100001)",
    "CREATE VIEW shown AS SELECT n, name FROM sales WHERE n < 3",
)


def test_tables_views_and_queries_are_read(run: Run, tmp_path: Path):
    run(*SALES)
    for column, numbers in (("sold", range(1, 86401)), ("told", range(1, 86401)), ("day", range(100001))):
        found = read(tmp_path, DAY, table="sales", time_column=column, columns=["n"]).table()
        assert sorted(found.column("n").to_pylist()) == list(numbers), column
    assert read(tmp_path, table="default.shown").table().num_rows == 3
    query = (
        "SELECT n, name FROM `sales` # $1 ;\n"
        "WHERE told >= $start AND sold < '2024-01-01 00:00:01' AND name LIKE 'a%' AND name <> 'it\\'s $2'"
    )
    assert read(tmp_path, DAY, query=query).table().to_pylist() == [{"n": 1, "name": "a%s:b"}]
    bounds = read(tmp_path, DAY, query="SELECT $start AS a, $local_end + INTERVAL 1 DAY AS b").table()
    assert bounds.to_pylist() == [{"a": DAY[0], "b": DAY[1] + timedelta(days=1)}]
    empty = read(tmp_path, query="SELECT * FROM sales WHERE n < 0").table()
    assert empty.schema == read(tmp_path, table="sales").table().schema


@pytest.mark.parametrize(
    ("kind", "value", "declared", "expected"),
    [
        ("Bool", "true", None, True),
        ("UInt8", "255", None, 255),
        ("UInt32", "4294967295", None, 2**32 - 1),
        ("UInt64", "9223372036854775807", None, 2**63 - 1),
        ("UInt64", "18446744073709551615", "decimal(20, 0)", Decimal(2**64 - 1)),
        ("UInt64", "18446744073709551615", "text", "18446744073709551615"),
        ("Int128", "5", None, 5.0),
        ("Int128", "9007199254740993", "int", 2**53 + 1),
        ("Decimal(20, 2)", "'12345678901234567.25'", "decimal(20, 2)", Decimal("12345678901234567.25")),
        ("Decimal(76, 10)", "1.5", "decimal(38, 10)", Decimal("1.5")),
        ("Nullable(Decimal(9, 2))", "NULL", None, None),
        ("Float64", "nan", None, None),
        ("Nullable(Int32)", "NULL", None, None),
        ("LowCardinality(Nullable(String))", "'ü'", None, "ü"),
        ("FixedString(4)", "'ab'", None, "ab"),
        ("Enum8('calm' = 1, 'gay' = 2)", "'gay'", None, "gay"),
        ("UUID", "'89af4282-25fb-4afc-8c7b-912e181e3ff1'", None, "89af4282-25fb-4afc-8c7b-912e181e3ff1"),
        ("IPv4", "'1.2.3.4'", None, "1.2.3.4"),
        ("Date", "'2024-01-01'", None, date(2024, 1, 1)),
        ("Date32", "'2200-01-02'", None, date(2200, 1, 2)),
        ("DateTime('Europe/Berlin')", "1704085200", None, datetime(2024, 1, 1, 5, tzinfo=UTC)),
        (
            "DateTime64(6, 'Asia/Kolkata')",
            "'2024-01-01 05:30:00.000001'",
            None,
            datetime(2024, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
        ),
        ("DateTime64(9, 'UTC')", "'2024-01-01 00:00:00.5'", None, datetime(2024, 1, 1, 0, 0, 0, 500000, UTC)),
        ("DateTime64(3, 'Asia/Kolkata')", "'2024-01-01 05:30:00'", "text", "2024-01-01 00:00:00.000+00:00"),
        ("Array(Int32)", "[1, 2]", None, [1, 2]),
        ("Array(LowCardinality(String))", "['a', '']", None, ["a", ""]),
        (
            "Array(UUID)",
            "['89af4282-25fb-4afc-8c7b-912e181e3ff1']",
            None,
            ["89af4282-25fb-4afc-8c7b-912e181e3ff1"],
        ),
        ("Array(Array(Int32))", "[[1], []]", None, "[[1],[]]"),
        ("Tuple(Int32, String)", "(1, 'a')", None, '[1,"a"]'),
        ("Map(String, Int32)", "{'a': 1}", None, '{"a":1}'),
    ],
)
def test_types(run: Run, tmp_path: Path, kind: str, value: str, declared: str | None, expected: object):
    run(
        f"CREATE TABLE t (v {kind}) ENGINE = MergeTree ORDER BY tuple()",
        f"INSERT INTO t VALUES ({value})",
    )
    found = read(tmp_path, table="t", types={"v": declared} if declared else {})
    assert found.table().to_pylist() == [{"v": expected}]
    assert not found.rejected


def test_each_type_is_as_documented(run: Run, tmp_path: Path):
    rows = documented("ClickHouse")
    kinds = [kind for kind, *_ in rows]
    columns = ", ".join(f"c{number} {kind}" for number, kind in enumerate(kinds))
    run(f"CREATE TABLE every ({columns}) ENGINE = MergeTree ORDER BY tuple()")
    assert seen(read(tmp_path, table="every").table(), kinds) == rows


def test_a_row_with_a_value_that_the_lake_cannot_hold_is_rejected(run: Run, tmp_path: Path):
    for kind, value, says in (
        ("UInt64", "18446744073709551615", "not in range"),
        ("String", "unhex('ff')", "UTF8"),
        ("DateTime64(9, 'UTC')", "'2024-01-01 00:00:00.000000001'", "would lose data"),
    ):
        run(
            f"CREATE OR REPLACE TABLE t (v {kind}, n Int32) ENGINE = MergeTree ORDER BY n",
            "INSERT INTO t (n) VALUES (1), (3)",
            f"INSERT INTO t VALUES ({value}, 2)",
        )
        found = read(tmp_path, table="t")
        assert sorted(found.table().column("n").to_pylist()) == [1, 3], kind
        assert says in found.rejected[0].reason


def test_what_is_wrong_is_told_in_one_line(run: Run, tmp_path: Path):
    run(*SALES)
    for source, says in (
        ({"table": "sale"}, r"no table 'sale' \(nearest: sales\)"),
        ({"table": "sales", "columns": ["m"]}, r"no column 'm' \(there: sold, told, day, n, name\)"),
        ({"table": "sales", "time_column": "name"}, "is of type String: name one that holds times"),
        ({"query": "SELECT nope FROM sales"}, "Unknown expression identifier .nope.*: fix the statement"),
    ):
        with pytest.raises(SourceError, match=says) as told:
            read(tmp_path, DAY, **source).table()
        assert "\n" not in str(told.value)


def test_a_statement_is_ended_at_its_timeout(run: Run, tmp_path: Path):
    endless = "SELECT count() AS c FROM numbers(1000000000000) WHERE number % 7 = 3"
    began = time.monotonic()
    with pytest.raises(UnavailableError, match="raise the source's timeout"):
        read(tmp_path, query=endless, timeout="1 seconds").table()
    assert time.monotonic() - began < 30


def test_it_writes_nothing(run: Run):
    run(*SALES)
    with pytest.raises(SourceError, match="readonly"), session(HERE) as opened:
        opened.fetch("INSERT INTO sales (n) VALUES (1)")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A real server, of which an old one can say that a login or a database is wrong."""
    if not shutil.which("clickhouse-server"):
        pytest.skip("clickhouse-server is not installed here (Debian: apt-get install clickhouse-server)")
    with clickhouse_server(tmp_path_factory.mktemp("clickhouse"), "hidden word") as port:
        yield replace(HERE, port=port, login="default")


def test_what_a_server_refuses_is_told_without_the_password(server: Connection):
    for wrong, says in (
        (replace(server, password="another word"), "check its login, password and database"),
        (replace(server, schema="nowhere"), "nowhere.*: check its login, password and database"),
    ):
        with (
            pytest.raises(SourceError, match=says) as told,
            clickhouse.read_clickhouse(wrong, timedelta(seconds=20)) as opened,
        ):
            opened.tables()
        assert " word" not in str(told.value)
        assert "\n" not in str(told.value)


def test_a_server_that_is_not_there_is_told_without_the_password():
    absent = Connection("shop_db", "clickhouse", "127.0.0.1", unused_port(), "me", "hidden word")
    with (
        pytest.raises(UnavailableError, match="check that the database can be reached") as told,
        clickhouse.read_clickhouse(absent, timedelta(seconds=20)),
    ):
        pass
    assert "hidden word" not in str(told.value)
    assert "\n" not in str(told.value)


def test_an_answer_that_is_cut_may_be_tried_again():
    """A server that speaks the protocol's beginning and hangs up in the middle of an answer."""
    with (
        cut_short() as port,
        pytest.raises(UnavailableError, match="check that the database can be reached"),
        clickhouse.read_clickhouse(replace(HERE, port=port), timedelta(seconds=20)),
    ):
        pass


@contextmanager
def cut_short() -> Iterator[int]:
    class Cut(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"26.9.2.1\tUTC\n")

        do_GET = do_POST  # noqa: N815 - the name is the base class's

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Cut) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield listening.server_port
        listening.shutdown()
        thread.join()


def test_a_login_that_may_change_no_setting_is_refused(
    run: Run, logged_in: Callable[[int], None], tmp_path: Path
) -> None:
    run("CREATE TABLE t (a Int32) ENGINE = Memory", "INSERT INTO t VALUES (1)")
    logged_in(2)
    assert read(tmp_path, table="t").table().to_pylist() == [{"a": 1}]
    logged_in(1)
    with pytest.raises(SourceError, match=r"its login has readonly=1 .*: give it readonly=2"):
        read(tmp_path, table="t")
