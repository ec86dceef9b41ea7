"""Cells: counted at once as each partition alone would be, merged where they are many, packed, read back."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.calendar import Calendar, Grain
from evergreen.drift.binning import binning, count_frame
from evergreen.monitoring import cells as module
from evergreen.monitoring.cells import Cells, count_cells

DAILY = Calendar(Grain.DAILY)
numbers = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True), st.integers(-3, 3).map(float))


def frame_of(days: int, rows: int, seed: int = 0) -> tuple[pd.DataFrame, pd.Series]:
    draw = np.random.default_rng(seed)
    keys = list(DAILY.between("2024-01-01", DAILY.shift("2024-01-01", days - 1)))
    size = days * rows
    frame = pd.DataFrame(
        {
            "x": draw.normal(size=size),
            "whole": draw.integers(0, 4, size),
            "text": draw.choice(list("abc"), size).astype(object),
            "flag": draw.random(size) < 0.3,
            "at": pd.Timestamp("2024-01-01") + pd.to_timedelta(draw.integers(0, 99, size), unit="h"),
        }
    )
    frame.loc[draw.random(size) < 0.1, "x"] = np.nan
    return frame, pd.Series(np.repeat(keys, rows))


def counted(frame: pd.DataFrame, partitions: pd.Series, calendar: Calendar = DAILY) -> tuple[Any, Cells]:
    binnings = {str(name): binning(values) for name, values in frame.items()}
    return binnings, count_cells(calendar, binnings, frame, partitions)


def test_each_cell_is_what_its_rows_alone_count() -> None:
    frame, partitions = frame_of(days=9, rows=40)
    order = np.random.default_rng(1).permutation(len(frame))
    frame, partitions = frame.iloc[order], partitions.iloc[order]
    binnings, cells = counted(frame, partitions)
    assert len(cells) == 9
    assert cells.rows.tolist() == [40] * 9
    for number, key in enumerate(sorted(partitions.unique())):
        alone = count_frame(binnings, frame[(partitions == key).to_numpy()])
        found = cells.by_feature(cells.counts[number])
        assert {name: found[name].tolist() for name in found} == {n: c.tolist() for n, c in alone.items()}
        assert cells.flat(alone).tolist() == cells.counts[number].tolist()


@given(st.lists(numbers, min_size=1, max_size=30), st.lists(numbers, min_size=1, max_size=30))
def test_numbers_of_any_kind_are_counted_as_alone(training: list[float], values: list[float]) -> None:
    made = binning(pd.Series(training, dtype=float))
    frame = pd.DataFrame({"x": pd.Series(values, dtype=float)})
    cells = count_cells(DAILY, {"x": made}, frame, pd.Series(["2024-01-01"] * len(frame)))
    assert cells.counts.tolist() == [made.count(frame["x"]).tolist()]


def test_numbers_that_may_be_missing_keep_their_gaps() -> None:
    frame = pd.DataFrame({"x": pd.array([1, None, 3, 2, None], dtype="Int64")})
    binnings, cells = counted(frame, pd.Series(["2024-01-01"] * 2 + ["2024-01-02"] * 3))
    assert cells.counts[:, -2].tolist() == [1, 1]
    assert cells.counts[1].tolist() == binnings["x"].count(frame["x"].iloc[2:]).tolist()


def test_packed_and_read_back() -> None:
    _, cells = counted(*frame_of(days=20, rows=7))
    text = json.dumps(cells.to_dict(), allow_nan=False)
    again = Cells.from_dict(json.loads(text))
    assert (again.names, again.widths, again.length) == (cells.names, cells.widths, cells.length)
    assert (again.counts == cells.counts).all()
    assert (again.middles == cells.middles).all()


def test_a_year_of_days_with_31_features_stays_small() -> None:
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(draw.normal(size=(365 * 500, 31)), columns=[f"x{n}" for n in range(31)])
    keys = list(DAILY.between("2024-01-01", "2024-12-30"))
    binnings = {str(name): binning(frame[name].iloc[:5_000]) for name in frame}
    cells = count_cells(DAILY, binnings, frame, pd.Series(np.repeat(keys, 500)))
    size = len(json.dumps(cells.to_dict()))
    print(f"{cells.counts.size} counts in {size / 1e6:.2f} MB")
    assert cells.counts.shape[0] == 365
    assert size < 1_000_000


def test_hours_become_days() -> None:
    calendar = Calendar(Grain.HOURLY)
    keys = list(calendar.between("2024-01-01T00", calendar.shift("2024-01-01T00", 1_999)))
    frame = pd.DataFrame({"x": np.arange(4_000.0)})
    _, cells = counted(frame, pd.Series(np.repeat(keys, 2)), calendar)
    assert (len(cells), cells.length) == (math.ceil(2_000 / 24), 1)
    assert cells.rows.tolist() == [48.0] * 83 + [16.0]
    assert cells.middles[0] == DAILY.middle("2024-01-01")


@pytest.mark.parametrize(
    ("allowed", "cells", "length"), [(200, 100, 1), (99, 15, 7), (14, 5, 28), (3, 1, 100)]
)
def test_many_cells_are_merged(
    monkeypatch: pytest.MonkeyPatch, allowed: int, cells: int, length: float
) -> None:
    monkeypatch.setattr(module, "MOST", allowed)
    frame, partitions = frame_of(days=100, rows=3)
    _, merged = counted(frame, partitions)
    assert (len(merged), merged.length) == (cells, length)
    assert merged.rows.sum() == 300
    _, whole = counted(frame, pd.Series(["2024-01-01"] * 300))
    assert merged.counts.sum(axis=0).tolist() == whole.counts[0].tolist()
    assert (np.diff(merged.middles) >= length).all()


def test_a_wide_table_is_merged_by_its_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    frame, partitions = frame_of(days=60, rows=20)
    _, whole = counted(frame, partitions)
    monkeypatch.setattr(module, "NUMBERS", 20 * sum(whole.widths))
    _, merged = counted(frame, partitions)
    assert (len(merged), merged.length) == (9, 7)


def test_a_snapshot_is_one_cell() -> None:
    frame = pd.DataFrame({"x": np.arange(50.0)})
    _, cells = counted(frame, pd.Series(["snapshot"] * 50), Calendar(Grain.SNAPSHOT))
    assert (len(cells), cells.length, cells.rows.tolist()) == (1, 0, [50])
    assert cells.alike.tolist() == [1]


def test_how_alike_the_rows_of_a_day_are() -> None:
    draw = np.random.default_rng(4)
    days, rows = 200, 24
    alone = draw.normal(size=days * rows)
    of_day = np.repeat(draw.normal(size=days), rows)
    pairs = np.repeat(draw.normal(size=days * rows // 2), 2)
    frame = pd.DataFrame({"alone": alone, "of_day": of_day, "pairs": pairs, "same": 1.0})
    keys = list(DAILY.between("2024-01-01", DAILY.shift("2024-01-01", days - 1)))
    _, cells = counted(frame, pd.Series(np.repeat(keys, rows)))
    found = dict(zip(cells.names, cells.alike, strict=True))
    print(found)
    assert found["alone"] == pytest.approx(1, abs=0.05)
    assert found["of_day"] == pytest.approx(24, rel=0.05)
    assert found["pairs"] == pytest.approx(2, rel=0.1)
    assert found["same"] == 1


def test_the_week_makes_no_rows_alike() -> None:
    draw = np.random.default_rng(5)
    keys = list(DAILY.between("2024-01-01", "2024-06-30"))
    weekend = np.array([DAILY.start(key).weekday() >= 5 for key in keys])
    values = draw.normal(size=(len(keys), 50)) + 5 * weekend[:, None]
    _, cells = counted(pd.DataFrame({"x": values.ravel()}), pd.Series(np.repeat(keys, 50)))
    assert cells.alike[0] == pytest.approx(1, abs=0.05)


def test_the_slope_of_a_season_makes_no_rows_alike() -> None:
    draw = np.random.default_rng(6)
    keys = list(DAILY.between("2024-01-01", "2024-12-30"))
    season = 2 * np.sin(2 * np.pi * np.arange(len(keys)) / 365)
    values = draw.normal(size=(len(keys), 500)) + season[:, None]
    _, cells = counted(pd.DataFrame({"x": values.ravel()}), pd.Series(np.repeat(keys, 500)))
    assert cells.alike[0] == pytest.approx(1, abs=0.1)


def test_too_few_cells_say_nothing_of_alikeness() -> None:
    frame = pd.DataFrame({"x": np.repeat(np.arange(5.0), 20)})
    keys = list(DAILY.between("2024-01-01", "2024-01-05"))
    _, cells = counted(frame, pd.Series(np.repeat(keys, 20)))
    assert cells.alike.tolist() == [1]
