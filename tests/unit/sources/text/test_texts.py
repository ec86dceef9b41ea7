from __future__ import annotations

import json
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from evergreen.errors import SourceError
from evergreen.sources.text import spool as text_spool
from evergreen.sources.text.spool import Spool
from evergreen.sources.text.texts import prepare_texts


def utc(hour):
    return datetime(2024, 1, 31, hour, tzinfo=UTC)


def batch(**columns):
    return pa.record_batch({name: pa.array(values, pa.string()) for name, values in columns.items()})


def add(spool, found):
    """Keep what fits of a batch; returns why the other rows do not, by their index."""
    prepared, misfits = prepare_texts(spool.types, spool.known, found)
    spool.keep(prepared)
    return misfits


def test_a_column_is_what_all_its_values_are():
    spool = Spool()
    assert add(spool, batch(n=["1", None], s=["1", "2"], e=[None, None])) == {}
    assert add(spool, batch(n=["2.5"], s=["01"], e=[None])) == {}
    rows = spool.rows()
    assert rows.schema == pa.schema([("n", pa.float64()), ("s", pa.string()), ("e", pa.null())])
    assert rows.table().to_pydict() == {"n": [1.0, None, 2.5], "s": ["1", "2", "01"], "e": [None] * 3}


def test_rows_that_do_not_fit_are_left_out_and_do_not_make_a_type():
    spool = Spool({"k": "int", "absent": "int"})
    assert add(spool, batch(k=["1", "x", "3"], v=["1", "text", None])) == {1: "column 'k': 'x' is no int"}
    assert spool.rows().table().to_pylist() == [
        {"k": 1, "v": 1.0, "absent": None},
        {"k": 3, "v": None, "absent": None},
    ]


def test_batches_are_of_bounded_size(monkeypatch):
    monkeypatch.setattr(text_spool, "_BLOCK_ROWS", 4)
    spool = Spool()
    add(spool, batch(n=[str(number) for number in range(10)]))
    assert [found.num_rows for found in spool.rows()] == [4, 4, 2]


def test_a_batch_without_a_row_that_fits_says_which_columns_there_are():
    spool = Spool({"k": "int"})
    assert add(spool, batch(k=["x"], v=["1"])) == {0: "column 'k': 'x' is no int"}
    assert spool.rows().schema == pa.schema([("k", pa.int64()), ("v", pa.null())])


def test_more_columns_than_a_table_may_have():
    spool = Spool()
    add(spool, batch(**{f"a{number}": ["1"] for number in range(2_000)}))
    with pytest.raises(SourceError, match="more than 2,000 different fields"):
        add(spool, batch(b=["1"]))


@pytest.mark.parametrize(
    ("columns", "settled"),
    [
        ((["1.50"], ["2"]), [1.5, 2.0]),
        ((["1.50"], ["2"], ["x"]), ["1.50", "2", "x"]),
        ((["1.50", None], [None], ["x"]), ["1.50", None, None, "x"]),
        ((["true"], ["1"]), ["true", "1"]),
        ((["2024-01-31"], ["2024-01-31 05:00"]), [utc(0), utc(5)]),
        ((["2024-01-31 00:00"], ["2024-01-31"]), [utc(0), utc(0)]),
        ((["2024-01-31"], ["2024-01-31 05:00"], ["x"]), ["2024-01-31", "2024-01-31 05:00", "x"]),
    ],
)
def test_a_column_that_turns_out_to_be_another_type_has_its_own_texts(columns, settled):
    for saved in (False, True):
        spool, parts = Spool(), []
        for values in columns:
            add(spool, batch(c=values, other=["7"] * len(values), k=["text"] * len(values)))
            if saved:
                part, state = spool.save()
                parts.append(part)
        if saved:
            spool.close()
            spool = Spool()
            spool.restore(parts, json.loads(json.dumps(state)))
        table = spool.rows().table()
        assert table.column("c").to_pylist() == settled
        assert set(table.column("other").to_pylist()) == {7.0}
