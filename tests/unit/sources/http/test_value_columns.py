"""The columns of the values of `for_each`."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest

from evergreen.connections import Connection
from evergreen.errors import SourceError
from evergreen.sources.http.read import read_http
from tests.http_peers import Said, serving
from tests.unit.sources.http.shop import DAY, parts, read, shop, source


def test_a_field_of_the_records_is_kept() -> None:
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
    values: Any, types: Any, column: pa.Array | None
) -> None:
    described = source(for_each={"store": values}, types=types, paging={})
    with serving(lambda asked: Said(body=b'{"data": [{"n": 1}]}')) as peer:
        if column is None:
            with pytest.raises(SourceError, match=r"for_each.store, value 'x': .*'store'.* is no int"):
                read(peer, described)
        else:
            assert read(peer, described).table()["store"].combine_chunks() == column


def test_values_without_a_record_give_no_rows_and_no_columns() -> None:
    with serving(lambda asked: Said(body=b'{"data": []}')) as peer:
        table = read(peer, source()).table()
    assert (table.num_rows, table.num_columns) == (0, 0)


def test_no_value_is_no_request() -> None:
    with serving(shop) as peer:
        connection = Connection("shop_api", "http", peer.address())
        assert read_http(source(), connection, DAY, values=[]).table().num_rows == 0
    assert not peer.asked


@pytest.mark.parametrize("parallel", [1, 3])
def test_a_column_of_csv_has_one_type_for_all_values(parallel: int) -> None:
    texts = {1: b"a,b\n1,2024-01-01\n", 2: b"a,c\nx,true\n", 3: b"a,b\n2.5,\n", 4: b""}
    described = source(format="csv", paging={}, for_each={"store": list(texts)}, parallel=parallel)
    with serving(lambda asked: Said(body=texts[parts(asked)[0]])) as peer:
        table = read(peer, described).table()
    assert table.schema.names == ["a", "b", "c", "store"]
    assert list(map(str, table.schema.types)) == ["string", "date32[day]", "bool", "double"]
    assert table["a"].to_pylist() == ["1", "x", "2.5"]
    assert table["store"].to_pylist() == [1.0, 2.0, 3.0]


def test_a_column_of_two_kinds_is_told() -> None:
    texts = {1: b'{"data": [{"n": 1}]}', 2: b'{"data": [{"n": "x"}]}'}
    described, says = source(for_each={"store": [1, 2]}, paging={}), "field 'n' holds numbers and text"
    with (
        serving(lambda asked: Said(body=texts[parts(asked)[0]])) as peer,
        pytest.raises(SourceError, match=says),
    ):
        read(peer, described)


def test_a_rejected_record_says_of_which_value_it_is() -> None:
    with serving(lambda asked: Said(body=b'{"data": [{"n": 1}, 7]}')) as peer:
        rows = read(peer, source(for_each={"store": [1, 2]}, paging={}, parallel=2))
        assert rows.table().num_rows == 2
    assert [one.place for one in rows.rejected] == [f"store {n}, page 1, record 2" for n in (1, 2)]


def test_the_event_time_may_be_a_value() -> None:
    described = source(
        path="/{hour}", for_each={"hour": ["2024-01-01T00:00:00Z", "2024-01-01T01:00:00Z"]}, paging={},
        time_column="hour",
    )  # fmt: skip
    with serving(lambda asked: Said(body=b'{"data": [{"n": 1}]}')) as peer:
        table = read(peer, described).table()
    assert table["hour"].to_pylist() == [datetime(2024, 1, 1, hour, tzinfo=UTC) for hour in (0, 1)]
