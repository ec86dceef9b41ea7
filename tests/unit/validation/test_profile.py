from __future__ import annotations

import itertools
import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.validation.profile import QUANTILES, SAMPLED, ColumnProfile, Profile, Profiler


def profile(table, cuts=()):
    profiler = Profiler(table.schema)
    edges = [0, *sorted(cuts), table.num_rows]
    for first, last in itertools.pairwise(edges):
        for batch in table.slice(first, last - first).combine_chunks().to_batches():
            profiler.add(batch)
    return profiler.profile()


def column(values, kind=None, cuts=()):
    return profile(pa.table({"x": pa.array(values, kind)}), cuts).columns["x"]


def agree(one, other):
    assert (one.nulls, one.infinite, one.min, one.max) == (other.nulls, other.infinite, other.min, other.max)
    assert one.quantiles == other.quantiles
    for mine, theirs in ((one.mean, other.mean), (one.std, other.std)):
        assert mine == theirs or mine == pytest.approx(theirs, rel=1e-9, abs=1e-6)


class TestKnownAnswers:
    def test_the_figures_are_pandas_own(self):
        random = np.random.default_rng(3)
        values = random.lognormal(2, 3, 20_000)
        values[random.random(20_000) < 0.1] = np.nan
        series = pd.Series(values)
        found = column(values, cuts=(1, 7_000, 7_000))
        assert found.nulls == series.isna().sum()
        assert found.mean == pytest.approx(series.mean(), rel=1e-12)
        assert found.std == pytest.approx(series.std(), rel=1e-12)
        assert (found.min, found.max) == (series.min(), series.max())
        assert found.quantiles == {str(q): series.quantile(q) for q in QUANTILES}

    @pytest.mark.parametrize("kind", [pa.int8(), pa.uint16(), pa.int64(), pa.float32(), pa.decimal128(12, 2)])
    def test_all_kinds_of_numbers(self, kind):
        found = column([1, None, 2, 3, 4], kind)
        assert (found.nulls, found.mean, found.min, found.max) == (1, 2.5, 1, 4)
        assert found.std == pytest.approx(math.sqrt(5 / 3))
        assert found.quantiles["0.5"] == 2.5

    def test_whole_numbers_beyond_floats_keep_their_extremes(self):
        found = column([2**63 - 1, None, -(2**63) + 1], pa.int64())
        assert (found.min, found.max) == (-(2**63) + 1, 2**63 - 1)

    def test_sums_do_not_wrap_around(self):
        assert column([2**62] * 5, pa.int64()).mean == float(2**62)

    def test_a_small_spread_on_a_large_mean_is_not_lost(self):
        found = column([1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16], cuts=(1, 2, 3))
        assert found.std == pytest.approx(math.sqrt(30))

    def test_dates_and_times_have_iso_extremes(self):
        days = [date(2012, 2, 29), None, date(2011, 1, 1)]
        assert column(days, pa.date32(), cuts=(1,)) == ColumnProfile(1, min="2011-01-01", max="2012-02-29")
        moments = [datetime(2011, 1, 1, 5, tzinfo=UTC), datetime(2011, 1, 1, 4, 30, tzinfo=UTC)]
        found = column(moments, pa.timestamp("us", "UTC"))
        assert (found.min, found.max) == ("2011-01-01T04:30:00+00:00", "2011-01-01T05:00:00+00:00")

    @pytest.mark.parametrize(
        ("values", "kind"),
        [
            (["a", None], pa.string()),
            ([True, None], pa.bool_()),
            ([[1], None], pa.list_(pa.int64())),
            ([{"a": 1}, None], pa.struct([("a", pa.int64())])),
            ([None, None], pa.null()),
        ],
    )
    def test_of_other_columns_only_nulls_are_counted(self, values, kind):
        assert column(values, kind) == ColumnProfile(values.count(None))


class TestWhatIsNoNumber:
    def test_nan_is_missing_and_infinities_are_counted_by_themselves(self):
        found = column([1.0, math.nan, math.inf, None, 3.0, -math.inf, math.inf])
        assert (found.nulls, found.infinite) == (2, 3)
        assert (found.mean, found.min, found.max, found.quantiles["0.5"]) == (2.0, 1.0, 3.0, 2.0)

    def test_nothing_but_missing_values_has_no_figures(self):
        assert column([math.nan, None, math.inf], pa.float64()) == ColumnProfile(2, infinite=1)
        assert column([], pa.float64()) == ColumnProfile(0)

    def test_one_value_has_no_deviation(self):
        found = column([5.0])
        assert (found.mean, found.std) == (5.0, None)

    @pytest.mark.parametrize("values", [[1.7e308, 1.7e308], [1.7e308, -1.7e308, 1.0], [math.inf, -math.inf]])
    def test_json_holds_it_whatever_overflows(self, values):
        text = json.dumps(profile(pa.table({"x": values}), cuts=(1,)).to_dict(), allow_nan=False)
        assert json.loads(text)["rows"] == len(values)

    def test_a_time_beyond_the_calendar_has_no_text(self):
        far = pa.array([2**62], pa.int64()).cast(pa.timestamp("us"))
        assert column(far) == ColumnProfile(0)


def test_it_survives_json_and_figures_of_later_versions():
    table = pa.table({"x": [1.0, math.inf, None], "s": ["a", None, "b"], "d": [date(2011, 1, 1), None, None]})
    found = profile(table)
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert values["columns"]["s"] == {"nulls": 1}
    values["columns"]["x"]["entropy"] = 3
    assert Profile.from_dict(values) == found


def test_no_rows_at_all_have_a_profile():
    assert Profiler(pa.schema([("x", pa.float64())])).profile() == Profile(0, {"x": ColumnProfile(0)})


numbers = st.none() | st.floats(-1e6, 1e6) | st.sampled_from([math.nan, math.inf, -math.inf, -0.0])


@given(st.lists(numbers, max_size=60), st.lists(st.integers(0, 60), max_size=6))
def test_batches_cut_anywhere_give_the_same_profile(values, cuts):
    cuts = [cut for cut in cuts if cut <= len(values)]
    agree(column(values, pa.float64(), cuts), column(values, pa.float64()))


@given(st.lists(st.none() | st.decimals(-1000, 1000, places=2), max_size=40))
def test_figures_are_numpys_own_for_any_numbers(values):
    found = column(values, pa.decimal128(10, 2), cuts=(len(values) // 2,))
    known = np.array([float(value) for value in values if value is not None])
    assert found.nulls == len(values) - len(known)
    if len(known):
        assert found.mean == pytest.approx(known.mean(), abs=1e-9)
        assert found.quantiles == pytest.approx({str(q): np.quantile(known, q) for q in QUANTILES})
    if len(known) > 1:
        assert found.std == pytest.approx(known.std(ddof=1), abs=1e-9)


class TestManyRows:
    values = np.random.default_rng(5).gamma(2, 10, 900_000)

    def test_up_to_the_limit_quantiles_are_exact(self):
        part = self.values[:SAMPLED]
        found = column(part, cuts=(40_000,))
        assert found.quantiles == {str(q): np.quantile(part, q) for q in QUANTILES}

    @pytest.mark.parametrize("cuts", [(1, 99_999, 100_001, 350_000), range(0, 900_000, 65_536)])
    def test_beyond_it_they_are_near_and_the_same_for_any_cuts(self, cuts):
        whole = column(self.values)
        agree(column(self.values, cuts=cuts), whole)
        for q, value in whole.quantiles.items():
            assert abs((self.values < value).mean() - float(q)) < 0.005

    @pytest.mark.parametrize("period", [2, 24, 34, 64, 144, 1024])
    def test_a_period_of_the_rows_is_not_met_with_the_samples_step(self, period):
        found = column((np.arange(900_000) % period).astype(float))
        for q, value in found.quantiles.items():
            assert abs(value - float(q) * (period - 1)) <= max(1, 0.01 * period)

    def test_memory_is_bounded(self):
        profiler = Profiler(pa.schema([("x", pa.float64())]))
        batch = pa.record_batch({"x": self.values[:50_000]})
        for _ in range(60):
            profiler.add(batch)
            held = sum(map(len, profiler._columns[0][1]._sampled))
            assert held <= SAMPLED + 50
        print(f"{profiler.profile().rows} rows, {held} held")


def test_a_decimal_is_counted_as_its_number():
    assert column([Decimal("0.10"), Decimal("0.20")], pa.decimal128(4, 2)).max == 0.2
