"""Arrow to pandas, as expectations, features and models see it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pandas as pd
import pyarrow as pa

from evergreen.rows.frame import to_frame


def test_pandas_counts_with_decimals_and_dates_and_hashes_lists():
    frame = to_frame(
        pa.table(
            {"d": [Decimal("1.50"), None], "t": [date(2011, 1, 1), None], "n": [1, 2], "l": [["a"], None]}
        )
    )
    assert [str(kind) for kind in frame.dtypes] == ["float64", "datetime64[ms]", "int64", "object"]
    assert frame["d"].sum() == 1.5
    assert frame["t"].dt.year.iloc[0] == 2011
    assert frame["l"].to_list() == [("a",), None]
    assert pd.util.hash_pandas_object(frame).nunique() == 2
    assert str(to_frame(pa.table({"l": pa.array([], pa.list_(pa.int32()))})).dtypes["l"]) == "object"
