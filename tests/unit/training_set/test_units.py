from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.errors import IntegrityError, SpecError
from evergreen.training_set.units import Units


@pytest.fixture
def keyed(make_spec, snapshot):
    return make_spec(snapshot, {"key: [person]": "key: [shop, till]"})


@pytest.fixture
def by_home(make_spec, snapshot):
    return make_spec(snapshot, {"folds: 3": "folds: 3, group: home"})


def test_a_row_is_named_by_its_key_alone(make_spec, snapshot, people):
    spec = make_spec(snapshot)
    units = Units.of(spec, people)
    assert units.columns == {"person": "number"}
    changed = people.assign(spent=0.0, loyal="no").iloc[::-1]
    assert np.array_equal(Units.of(spec, changed).digests[::-1], units.digests)
    assert len(np.unique(units.digests)) == 120


def test_a_digest_is_blake2b_of_the_names_of_the_values(make_spec, snapshot):
    """Stored versions are compared with later rows, so a digest must never change. Computed here by hand."""
    rows = pd.DataFrame({"person": [7, 12345]})
    wanted = [
        int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little")
        for name in (b"1:7", b"5:12345")
    ]
    assert Units.of(make_spec(snapshot), rows).digests.tolist() == wanted
    assert wanted[0] == 2675404214390262289


def test_values_next_to_one_another_are_not_confused(keyed):
    rows = pd.DataFrame({"shop": ["a", "ab", "a1:b", "a"], "till": ["bc", "c", "c", "1:bc"]})
    assert len(np.unique(Units.of(keyed, rows).digests)) == 4


def test_a_time_is_the_same_in_every_unit_of_time(keyed):
    at = pd.Series(pd.to_datetime(["2024-01-01T00:00Z", "2024-01-01T10:30Z"], utc=True))
    digests = [
        Units.of(keyed, pd.DataFrame({"shop": at.dt.as_unit(unit), "till": [1, 2]})).digests.tolist()
        for unit in ("us", "ns")
    ]
    assert digests[0] == digests[1]


def test_a_group_is_one_unit_whatever_else_is_missing(by_home):
    whole = Units.of(by_home, pd.DataFrame({"person": [1, 2, 3], "home": [7, 7, 8]}))
    some = Units.of(by_home, pd.DataFrame({"person": [1, 2, 3, 4], "home": [7.0, None, 8.0, None]}))
    assert whole.columns == some.columns == {"home": "number"}
    assert some.digests[0] == whole.digests[0] == whole.digests[1]
    assert some.digests[2] == whole.digests[2]
    assert some.digests[1] == some.digests[3]
    assert len(np.unique(some.digests)) == 3


def test_rows_without_the_column_of_the_group_are_refused(by_home):
    with pytest.raises(SpecError, match=r"tuning\.group: the rows have no column 'home'; there: person"):
        Units.of(by_home, pd.DataFrame({"person": [1]}))


@given(keys=st.lists(st.integers(0, 500), min_size=1, max_size=60, unique=True), data=st.data())
def test_units_are_found_again_among_those_that_were_stored(keys, data):
    digests = Units({"person": "number"}, np.asarray(keys, dtype=np.uint64))
    mask = np.asarray(data.draw(st.lists(st.booleans(), min_size=len(keys), max_size=len(keys))))
    body = digests.distinct(mask).to_parquet()
    found = Units.from_parquet(body)
    assert found.columns == {"person": "number"}
    assert np.array_equal(digests.among(found), mask)
    assert sorted(found.digests.tolist()) == found.digests.tolist()


def test_a_stored_unit_takes_eight_bytes(make_spec, snapshot):
    units = Units.of(make_spec(snapshot), pd.DataFrame({"person": np.arange(20_000)}))
    assert len(units.to_parquet()) < 8.1 * 20_000


@pytest.mark.parametrize("body", [b"", b"PAR1 or not", "of another file"])
def test_a_file_of_anything_else_is_refused(body):
    if isinstance(body, str):
        import pyarrow as pa
        import pyarrow.parquet as pq

        sink = pa.BufferOutputStream()
        pq.write_table(pa.table({"digest": [1]}), sink)
        body = sink.getvalue().to_pybytes()
    with pytest.raises(IntegrityError, match="not a list of units"):
        Units.from_parquet(body)


def test_lots_depend_on_the_seed_and_are_spread_evenly(make_spec, snapshot):
    units = Units.of(make_spec(snapshot), pd.DataFrame({"person": np.arange(5_000)}))
    one, other = (units.lots(seed) / 2**64 for seed in (0, 1))
    for lots in (one, other):
        # The standard error of the mean of as many uniform numbers is 0.0041, of a tenth's share 0.0042.
        assert abs(lots.mean() - 0.5) < 0.0164
        assert np.abs(np.bincount((10 * lots).astype(int)) / 5_000 - 0.1).max() < 0.017
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.06
