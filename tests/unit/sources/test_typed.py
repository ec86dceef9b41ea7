from __future__ import annotations

import pyarrow as pa
import pytest

from evergreen.errors import RefusedError
from evergreen.ingestion.conform import Conformer
from evergreen.rows.batches import Rows
from evergreen.sources.local_times import with_a_time
from evergreen.validation.profile import Profiler
from evergreen.validation.quarantine import Quarantined


def test_a_row_without_event_time_is_rejected():
    table = pa.table({"t": pa.array([1, None], pa.timestamp("us", "UTC")), "n": [1, 2]})
    rows = with_a_time(Rows.of(table), "t")
    assert rows.table().column("n").to_pylist() == [1]
    (rejected,) = rows.rejected
    assert (rejected.text, rejected.place) == ('{"t": null, "n": 2}', "row 2")


def test_a_column_renamed_in_case_only_is_refused_with_both_names():
    old, new = (pa.schema([("id", pa.int64()), (name, pa.float64())]) for name in ("Val", "val"))
    with pytest.raises(RefusedError, match="'Val' and 'val' differ in case only"):
        Conformer(old, new, "evolve")


def test_the_extremes_of_float64_have_a_profile():
    batch = pa.record_batch({"x": [-1.797e308, 0.0, 1.797e308]})
    profiler = Profiler(batch.schema)
    profiler.add(batch)
    found = profiler.profile().to_dict()["columns"]["x"]
    assert (found["min"], found["max"]) == (-1.797e308, 1.797e308)


def test_equal_unreadable_lines_have_ids_of_their_own():
    first, second = (Quarantined("p", "1,a,2,", "readable", "why", f"a.csv:{line}") for line in (2, 3))
    assert first.id != second.id
