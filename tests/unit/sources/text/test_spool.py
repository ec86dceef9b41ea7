from __future__ import annotations

import pyarrow as pa
import pytest

from evergreen.errors import SourceError
from evergreen.sources.text import spool as text_spool
from evergreen.sources.text.spool import TextSpool


def batch(**columns):
    return pa.record_batch({name: pa.array(values, pa.string()) for name, values in columns.items()})


def test_a_column_is_what_all_its_values_are():
    spool = TextSpool(["n", "s", "e"], {})
    assert spool.add(batch(n=["1", None], s=["1", "2"], e=[None, None])) == {}
    assert spool.add(batch(n=["2.5"], s=["01"], e=[None])) == {}
    rows = spool.rows([])
    assert rows.schema == pa.schema([("n", pa.float64()), ("s", pa.string()), ("e", pa.null())])
    assert rows.table().to_pydict() == {"n": [1.0, None, 2.5], "s": ["1", "2", "01"], "e": [None] * 3}


def test_rows_that_do_not_fit_are_left_out_and_do_not_make_a_type():
    spool = TextSpool(["k", "v"], {"k": "int", "absent": "int"})
    assert spool.add(batch(k=["1", "x", "3"], v=["1", "text", None])) == {1: "column 'k': 'x' is no int"}
    assert spool.rows([]).table().to_pylist() == [{"k": 1, "v": 1.0}, {"k": 3, "v": None}]


def test_batches_are_of_bounded_size(monkeypatch):
    monkeypatch.setattr(text_spool, "_BLOCK_ROWS", 4)
    spool = TextSpool(["n"], {})
    spool.add(batch(n=[str(number) for number in range(10)]))
    assert [found.num_rows for found in spool.rows([])] == [4, 4, 2]


def test_names_that_the_lake_cannot_keep():
    with pytest.raises(SourceError, match="column 'partition' has the name of the lake's own column"):
        TextSpool(["partition"], {})
