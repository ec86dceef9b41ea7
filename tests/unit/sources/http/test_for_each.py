"""One chain of requests for each value of `for_each`: what is asked, the order of rows, what resumes."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
import pytest
from pydantic import ValidationError

from evergreen.calendar import Calendar, Grain
from evergreen.connections import Connection
from evergreen.errors import NotFoundError, SourceError, UnavailableError
from evergreen.ingestion.checkpoint import StagedCheckpoint
from evergreen.sources import checkpoint as keeping
from evergreen.sources.http import HTTP
from evergreen.sources.http.description import HttpSource
from evergreen.sources.http.for_each import combinations
from evergreen.sources.http.read import read_http
from evergreen.sources.kind import Wanted
from evergreen.staging import Staging
from tests.http_peers import Asked, Peer, Said, serving

DAY = "2024-01-01"
STORES = list(range(1, 9))
PAGES = 4


def source(**changes: Any) -> HttpSource:
    values = {
        "conn_id": "shop_api",
        "path": "/stores/{store}/sales",
        "for_each": {"store": STORES},
        "next": "cursor",
    }
    if "paging" in changes:
        del values["next"]
    return HttpSource.model_validate({**values, **changes})


def read(peer: Peer, described: HttpSource, checkpoint: Any = None) -> Any:
    values = combinations(described.for_each)  # type: ignore[arg-type] - lists, in these tests
    connection = Connection("shop_api", "http", peer.address())
    return read_http(described, connection, DAY, checkpoint, values=values)


def a_page(store: int, number: int) -> dict[str, Any]:
    """The third store has no sales; the fields differ from store to store."""
    if store == 3:
        return {"data": [], "next": None}
    sales = [
        {"sale": f"{store}-{number}-{at}", "n": number * 2 + at, f"only_{store % 3}": True} for at in (0, 1)
    ]
    return {"data": sales, "next": str(number + 1) if number + 1 < PAGES else None}


def parts(asked: Asked) -> tuple[int, int]:
    """The store and the page that a request asks for."""
    url = urlsplit(asked.path)
    return int(url.path.split("/")[2]), int(parse_qs(url.query).get("cursor", ["0"])[0])


def shop(asked: Asked) -> Said:
    return Said(body=json.dumps(a_page(*parts(asked))).encode())


SALES = [f"{s}-{n}-{at}" for s in STORES if s != 3 for n in range(PAGES) for at in (0, 1)]


class Folder:
    """A storage of files in a folder, which outlives a process that is killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: str) -> Path:
        return self.folder / key.replace("/", "_")

    def stage(self, key: str, body: bytes) -> None:
        (self.folder / "new").write_bytes(body)
        (self.folder / "new").rename(self.path(key))

    def read(self, key: str) -> Any:
        if not self.exists(key):
            raise NotFoundError(key)
        return SimpleNamespace(body=self.path(key).read_bytes())

    def exists(self, key: str) -> bool:
        return self.path(key).exists()


@pytest.fixture
def kept(tmp_path: Path) -> Callable[[], StagedCheckpoint]:
    """Makes what each attempt of a task has: a checkpoint of its own on the same staging."""
    (tmp_path / "staging").mkdir()
    return lambda: StagedCheckpoint(Staging(Folder(tmp_path / "staging"), "p", "night-1"), "sales")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"for_each": {"store": []}}, "there is no value: write at least one"),
        ({"for_each": {"store": 7}}, "write a list of values, or a query's"),
        ({"for_each": {"store": [1, "a"]}}, "the values are numbers and texts"),
        ({"for_each": {"store": ["a", ""]}}, "a value is an empty text"),
        ({"for_each": {"store": [1, 2, 1]}}, "the value '1' is there 2 times"),
        ({"for_each": {"store": [1.5]}}, "valid integer"),
        ({"for_each": {"store": [True]}}, "valid integer"),
        ({"for_each": {"store": list(range(10_001))}}, "there are 10,001 values"),
        ({"for_each": {"store": list(range(200)), "n": list(range(200))}}, "there are 40,000 combinations"),
        ({"for_each": {"partition": [1]}, "path": "/{partition}"}, "'partition' stands for the partition"),
        ({"for_each": {"shop": [1]}}, r"for_each.shop: every value would ask for the same: write '\{shop\}'"),
        ({"for_each": {}, "parallel": 2}, "'parallel' is for the values of 'for_each'"),
        ({"parallel": 33}, "less than or equal to 32"),
    ],
)
def test_what_cannot_be_asked_is_refused(changes: Any, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        source(**changes)


def test_values_are_no_window_of_time() -> None:
    with pytest.raises(ValueError, match=r"write '\{partition\}' where it asks"):
        source().check_by_partition()


def test_every_value_is_asked_for_with_every_other_in_all_places() -> None:
    described = source(
        path="/{kind}/sales",
        method="POST",
        params={"kind": "{kind}", "day": "{partition}"},
        headers={"X-Kind": "{kind}", "X-Day": "{partition}"},
        body={"store": "{store}", "query": "{ sales(store: {store}) { id } }", "page": 1},
        for_each={"kind": ["a b/?", "c"], "store": [1, 2]},
        paging={},
    )
    with serving(lambda asked: Said(body=b'{"data": [{"n": 1}]}')) as peer:
        table = read(peer, described).table()
    found = [
        (asked.path, asked.headers.get("x-kind"), asked.headers.get("x-day"), json.loads(asked.body))
        for asked in peer.asked
    ]
    assert found == [
        (
            f"/{path}/sales?kind={param}&day={DAY}",
            kind,
            DAY,
            {"store": store, "query": f"{{ sales(store: {store}) {{ id }} }}", "page": 1},
        )
        for path, param, kind in (("a%20b%2F%3F", "a+b%2F%3F", "a b/?"), ("c", "c", "c"))
        for store in (1, 2)
    ]
    assert table.to_pylist() == [
        {"n": 1.0, "kind": kind, "store": store} for kind in ("a b/?", "c") for store in (1.0, 2.0)
    ]


@pytest.mark.parametrize("value", [".", ".."])
def test_no_value_leads_to_another_path(value: str) -> None:
    with serving(shop) as peer, pytest.raises(SourceError, match=r"cannot stand in a path"):
        read(peer, source(for_each={"store": [value]}))


def test_a_value_that_no_header_can_hold_is_named() -> None:
    described = source(path="/sales", headers={"X-Store": "{store}"}, for_each={"store": ["a", "ü\n"]})
    with serving(shop) as peer, pytest.raises(SourceError, match="'ü ' cannot be sent in a header"):
        read(peer, described)


def test_a_header_of_the_connection_wins() -> None:
    described = source(path="/", headers={"x-key": "{store}"}, for_each={"store": [1]}, paging={})
    with serving(lambda asked: Said(body=b'{"data": [{"n": 1}]}')) as peer:
        connection = Connection(
            "shop_api", "http", peer.address(), password="k", extra={"api_key_header": "X-Key"}
        )
        read_http(described, connection, DAY, values=[{"store": 1}]).table()
    assert peer.asked[0].headers["x-key"] == "k"


@pytest.mark.parametrize("parallel", [1, 2, 4, 32])
def test_rows_stand_in_the_order_of_the_values_whatever_the_answers_do(parallel: int) -> None:
    delays = random.Random(parallel)

    def slowly(asked: Asked) -> Said:
        time.sleep(delays.random() * 0.02)
        return shop(asked)

    with serving(shop) as peer:
        whole = read(peer, source()).table()
    assert whole["sale"].to_pylist() == SALES
    assert whole["store"].to_pylist() == [float(sale[0]) for sale in SALES]
    assert whole.schema.names == ["sale", "n", "only_1", "only_2", "only_0", "store"]
    for _ in range(3):
        with serving(slowly) as peer:
            table = read(peer, source(parallel=parallel)).table()
        assert table.equals(whole)
        assert len(peer.asked) == 1 + 7 * PAGES


def test_requests_are_in_flight_at_the_same_time_and_no_more_of_them() -> None:
    together, lock = threading.Barrier(3), threading.Lock()
    running, most = 0, 0

    def behave(asked: Asked) -> Said:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        if parts(asked)[0] <= 3:
            together.wait(30)
        with lock:
            running -= 1
        return Said(body=b'{"data": []}')

    with serving(behave) as peer:
        read(peer, source(parallel=3, for_each={"store": STORES})).table()
    assert most == 3


def test_a_value_far_ahead_waits_for_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evergreen.sources.http.reading._AHEAD", 3)
    asked_then: list[int] = []

    def behave(asked: Asked) -> Said:
        store = parts(asked)[0]
        if store == 1:
            time.sleep(0.3)
            asked_then.extend(parts(one)[0] for one in peer.asked)
        return Said(body=json.dumps({"data": [{"n": store}]}).encode())

    with serving(behave) as peer:
        table = read(peer, source(parallel=2)).table()
    assert max(asked_then) <= 3
    assert table["n"].to_pylist() == STORES


def test_the_rate_is_shared() -> None:
    with serving(lambda asked: Said(body=b'{"data": []}')) as peer:
        began = time.monotonic()
        read(peer, source(parallel=4, rate="40 per second")).table()
        assert time.monotonic() - began >= 7 / 40


class TestColumns:
    def test_a_field_of_the_records_is_kept(self) -> None:
        with serving(lambda asked: Said(body=b'{"data": [{"store": "north", "n": 1}]}')) as peer:
            table = read(peer, source(for_each={"store": [1, 2]}, paging={})).table()
        assert table.to_pylist() == [{"store": "north", "n": 1.0}] * 2

    @pytest.mark.parametrize(
        ("values", "types", "column"),
        [
            ([1, 2], {}, pa.array([1.0, 2.0])),
            ([1, 2], {"store": "int"}, pa.array([1, 2])),
            (["01", "2"], {}, pa.array(["01", "2"])),
            (["1", "x"], {"store": "int"}, None),
            (["2024-01-01", "2024-01-02"], {"store": "date"}, pa.array([date(2024, 1, n) for n in (1, 2)])),
        ],
    )  # fmt: skip
    def test_it_has_the_type_of_a_json_value_or_the_declared_one(
        self, values: Any, types: Any, column: pa.Array | None
    ) -> None:
        described = source(for_each={"store": values}, types=types, paging={})
        with serving(lambda asked: Said(body=b'{"data": [{"n": 1}]}')) as peer:
            if column is None:
                with pytest.raises(SourceError, match=r"for_each.store, value 'x': .*'store'.* is no int"):
                    read(peer, described)
            else:
                assert read(peer, described).table()["store"].combine_chunks() == column

    def test_values_without_a_record_give_no_rows_and_no_columns(self) -> None:
        with serving(lambda asked: Said(body=b'{"data": []}')) as peer:
            table = read(peer, source()).table()
        assert (table.num_rows, table.num_columns) == (0, 0)

    def test_no_value_is_no_request(self) -> None:
        with serving(shop) as peer:
            connection = Connection("shop_api", "http", peer.address())
            assert read_http(source(), connection, DAY, values=[]).table().num_rows == 0
        assert not peer.asked

    @pytest.mark.parametrize("parallel", [1, 3])
    def test_a_column_of_csv_has_one_type_for_all_values(self, parallel: int) -> None:
        texts = {1: b"a,b\n1,2024-01-01\n", 2: b"a,c\nx,true\n", 3: b"a,b\n2.5,\n", 4: b""}
        described = source(format="csv", paging={}, for_each={"store": list(texts)}, parallel=parallel)
        with serving(lambda asked: Said(body=texts[parts(asked)[0]])) as peer:
            table = read(peer, described).table()
        assert table.schema.names == ["a", "b", "c", "store"]
        assert list(map(str, table.schema.types)) == ["string", "date32[day]", "bool", "double"]
        assert table["a"].to_pylist() == ["1", "x", "2.5"]
        assert table["store"].to_pylist() == [1.0, 2.0, 3.0]

    def test_a_column_of_two_kinds_is_told(self) -> None:
        texts = {1: b'{"data": [{"n": 1}]}', 2: b'{"data": [{"n": "x"}]}'}
        described, says = source(for_each={"store": [1, 2]}, paging={}), "field 'n' holds numbers and text"
        with (
            serving(lambda asked: Said(body=texts[parts(asked)[0]])) as peer,
            pytest.raises(SourceError, match=says),
        ):
            read(peer, described)

    def test_a_rejected_record_says_of_which_value_it_is(self) -> None:
        with serving(lambda asked: Said(body=b'{"data": [{"n": 1}, 7]}')) as peer:
            rows = read(peer, source(for_each={"store": [1, 2]}, paging={}, parallel=2))
            assert rows.table().num_rows == 2
        assert [one.place for one in rows.rejected] == [f"store {n}, page 1, record 2" for n in (1, 2)]

    def test_the_event_time_may_be_a_value(self) -> None:
        described = source(
            path="/{hour}", for_each={"hour": ["2024-01-01T00:00:00Z", "2024-01-01T01:00:00Z"]}, paging={},
            time_column="hour",
        )  # fmt: skip
        with serving(lambda asked: Said(body=b'{"data": [{"n": 1}]}')) as peer:
            table = read(peer, described).table()
        assert table["hour"].to_pylist() == [datetime(2024, 1, 1, hour, tzinfo=UTC) for hour in (0, 1)]


class TestLimits:
    @pytest.mark.parametrize("parallel", [1, 4])
    def test_bytes_are_those_of_all_values(self, parallel: int) -> None:
        size = len(shop(Asked("GET", "/stores/1/sales", {}, b"")).body)
        with serving(shop) as peer:
            read(peer, source(max_bytes=size * 40, parallel=parallel)).table()
            with pytest.raises(SourceError, match="raise max_bytes"):
                read(peer, source(max_bytes=size * 20, parallel=parallel))

    @pytest.mark.parametrize("parallel", [1, 4])
    def test_time_is_that_of_all_values(self, parallel: int) -> None:
        def slowly(asked: Asked) -> Said:
            time.sleep(0.1)
            return shop(asked)

        brief = source(parallel=parallel, timeout="1 second")
        with serving(slowly) as peer, pytest.raises(UnavailableError, match=r"^store \d: .*timeout is over"):
            read(peer, brief.model_copy(update={"timeout": brief.timeout / 4}))

    def test_pages_are_those_of_one_value(self) -> None:
        with serving(shop) as peer:
            read(peer, source(max_pages=PAGES)).table()
            with pytest.raises(SourceError, match=r"store 1: .*more than 3 pages"):
                read(peer, source(max_pages=PAGES - 1))


@pytest.mark.parametrize("parallel", [1, 4])
def test_a_refused_value_is_named_and_the_others_are_kept(
    parallel: int, kept: Callable[[], StagedCheckpoint]
) -> None:
    def behave(asked: Asked) -> Said:
        return Said(404) if parts(asked)[0] == 5 else shop(asked)

    with serving(behave) as peer:
        with pytest.raises(SourceError, match=r"^store 5: /stores/\{store\}/sales: the API answered 404"):
            read(peer, source(parallel=parallel), kept())
        before = len(peer.asked)
        peer.behave = shop
        rows = read(peer, source(parallel=parallel), kept())
        assert rows.table()["sale"].to_pylist() == SALES
    if parallel == 1:
        assert before == 3 * PAGES + 2
        assert [parts(one) for one in peer.asked[before:]] == [
            (s, n) for s in (5, 6, 7, 8) for n in range(PAGES)
        ]


def test_an_error_ends_the_waiting_of_the_others() -> None:
    def behave(asked: Asked) -> Said:
        store = parts(asked)[0]
        return Said(429, b"", {"Retry-After": "200"}) if store == 1 else Said(400 if store == 2 else 200)

    began = time.monotonic()
    with serving(behave) as peer, pytest.raises(SourceError, match=r"store 2: .*answered 400"):
        read(peer, source(parallel=2))
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("parallel", [1, 3])
@pytest.mark.parametrize("saves", ["always", "at the end"])
def test_an_interrupted_read_goes_on_where_each_value_was(
    parallel: int, saves: str, kept: Callable[[], StagedCheckpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    if saves == "always":
        monkeypatch.setattr(keeping, "SAVE_BYTES", 1)
    with serving(shop) as peer:
        whole = read(peer, source()).table()
    chance, answered = random.Random(parallel), Counter[tuple[int, int]]()

    def behave(asked: Asked) -> Said:
        if chance.random() < 0.25:
            return Said(400)
        answered[parts(asked)] += 1
        return shop(asked)

    failed = 0
    with serving(behave) as peer:
        while True:
            try:
                table = read(peer, source(parallel=parallel), kept()).table()
                break
            except SourceError:
                failed += 1
    assert table.equals(whole)
    assert failed > 3
    if parallel == 1:  # a good answer is read once, but for those to a resumed request that was refused
        assert sum(answered.values()) <= 1 + 7 * PAGES + failed * PAGES


@pytest.mark.parametrize("parallel", [1, 3])
def test_a_read_that_is_killed_goes_on(
    parallel: int,
    kept: Callable[[], StagedCheckpoint],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keeping, "SAVE_BYTES", 1)
    with serving(shop) as peer:
        whole = read(peer, source()).table()
    result, child, left = tmp_path / "rows.arrow", 0, 0

    def behave(asked: Asked) -> Said:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(child, signal.SIGKILL)
        return shop(asked)

    killed = 0
    with serving(behave) as peer:
        for requests in (3, 6, 9, 5, 1000):
            left = requests
            child = os.fork()
            if not child:
                table = read(peer, source(parallel=parallel), kept()).table()
                with pa.OSFile(str(result), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
                    writer.write_table(table)
                os._exit(0)
            killed += os.waitpid(child, 0)[1] == signal.SIGKILL
    assert killed == 4
    with pa.OSFile(str(result), "rb") as file:
        assert pa.ipc.open_file(file).read_all().equals(whole)
    # What was read before a kill is not asked for again, but for what was in flight.
    assert len(peer.asked) <= 1 + 7 * PAGES + killed * 2 * parallel


class TestQueries:
    def wanted(self, folder: Path, peer: Peer, sql: str) -> Wanted:
        (folder / "stores.sql").write_text(sql)
        connections = {
            "shop_api": Connection("shop_api", "http", peer.address()),
            "shop_db": Connection("shop_db", "sqlite", str(folder / "shop.db")),
        }
        return Wanted(DAY, Calendar(Grain.DAILY), folder, None, connections.__getitem__)  # type: ignore[arg-type]

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        with sqlite3.connect(tmp_path / "shop.db") as database:
            database.execute("CREATE TABLE stores (id INTEGER, name TEXT, size REAL, opened TEXT)")
            rows = [
                (7, "south", 1.5, "2023-01-01"),
                (2, "north", 2.5, "2020-05-05"),
                (5, None, 1.0, "2025-01-01"),
            ]
            database.executemany("INSERT INTO stores VALUES (?, ?, ?, ?)", rows)
        return tmp_path

    def stores(self, peer: Peer, folder: Path, sql: str) -> list[Any]:
        described = source(for_each={"store": {"conn_id": "shop_db", "sql": "stores.sql"}}, paging={})
        rows = HTTP.read(described, self.wanted(folder, peer, sql))
        return rows.table().to_pylist()

    @pytest.fixture
    def peer(self) -> Iterator[Peer]:
        with serving(lambda asked: Said(body=b'{"data": [{"n": 1}]}')) as peer:
            yield peer

    @pytest.mark.parametrize(
        ("sql", "found"),
        [
            ("SELECT id, name FROM stores ORDER BY id DESC", [7.0, 5.0, 2.0]),
            ("SELECT name FROM stores WHERE id <> 5 ORDER BY name", ["north", "south"]),
            ("SELECT id FROM stores WHERE opened < $end ORDER BY id", [2.0, 7.0]),
            ("SELECT id FROM stores WHERE id < 0", []),
        ],
    )
    def test_the_first_column_has_the_values(
        self, peer: Peer, folder: Path, sql: str, found: Sequence[Any]
    ) -> None:
        assert self.stores(peer, folder, sql) == [{"n": 1.0, "store": value} for value in found]
        assert len(peer.asked) == len(found)

    @pytest.mark.parametrize(
        ("sql", "says"),
        [
            ("SELECT size FROM stores", "for_each.store: stores.sql: .*'size' is of type double: cast it"),
            ("SELECT name FROM stores", "its first column 'name' has a null"),
            ("SELECT CAST(1 AS INTEGER) AS id FROM stores", "the value '1' is there 3 times: fix the query"),
            ("SELECT id FROM shops", "for_each.store: .*shops"),
        ],
    )
    def test_values_that_are_none_are_told(self, peer: Peer, folder: Path, sql: str, says: str) -> None:
        with pytest.raises(SourceError, match=says):
            self.stores(peer, folder, sql)
        assert not peer.asked
