"""A day alone has bit for bit the features that training gives it, whatever its features are made of."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from deploy.demo_data.bike_file import read_bike_file
from deploy.demo_data.simulator import simulate
from deploy.demo_data.sources import DemoData
from evergreen.backtest.history import History
from evergreen.features.build import build_features
from evergreen.lake import PARTITION, Lake, Table
from evergreen.rows.frame import to_frame
from evergreen.scoring.predict import partition_features
from evergreen.scoring.score import rows_with_look_back
from evergreen.spec import Spec, load_spec
from evergreen.training_set.assemble import assemble
from evergreen.training_set.read import read_window

REAL_FILE = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "bike_sharing" / "hour.csv"


def joined(data: DemoData, first: str, last: str) -> pd.DataFrame:
    """The rows that bike_demand publishes from the sources."""
    rows = data.rentals.merge(data.weather, left_on="rented_at", right_on="hour").drop(columns="hour")
    rows[PARTITION] = rows["rented_at"].dt.strftime("%Y-%m-%d")
    return rows[rows[PARTITION].between(first, last)].reset_index(drop=True)


def same_bytes(left: pd.DataFrame, right: pd.DataFrame) -> bool:
    """Whether columns and bytes of the values are the same; a missing value is like another."""
    if list(left.columns) != list(right.columns):
        return False
    cells = [frame.to_numpy(float, na_value=np.nan).copy() for frame in (left, right)]
    for values in cells:
        values[np.isnan(values)] = np.nan
    return np.array_equal(*(values.view(np.uint64) for values in cells))


def days_that_differ(spec: Spec, rows: pd.DataFrame, days: list[str]) -> list[str]:
    whole = build_features(spec, rows)
    differing = []
    for day in days:
        some = rows[rows[PARTITION].between(spec.looks_back_to(day), day)]
        if not same_bytes(partition_features(spec, some, day), whole[(rows[PARTITION] == day).to_numpy()]):
            differing.append(day)
    return differing


def test_bike_demand_on_simulated_days():
    spec = load_spec("bike_demand")
    rows = joined(simulate(date(2011, 1, 1), date(2011, 4, 30)), "2011-01-01", "2011-04-30")
    days = list(spec.calendar.between("2011-02-01", "2011-04-30"))
    assert days_that_differ(spec, rows, days) == []
    print(f"{len(days)} days of bike_demand, simulated: all the same")


def test_bike_demand_on_the_real_file():
    if not REAL_FILE.is_file():
        pytest.skip("the UCI bike sharing file is not here")
    spec = load_spec("bike_demand")
    rows = joined(read_bike_file(REAL_FILE), "2011-11-01", "2012-03-31")
    days = [day for day in sorted(rows[PARTITION].unique()) if day >= "2011-12-01"]
    assert len(days) == 122
    assert days_that_differ(spec, rows, days) == []
    print(f"{len(days)} days of bike_demand, real: all the same")


@pytest.fixture
def read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads each table only once: what is asked for is cut out of it, as reading it would."""
    read = Lake.read
    tables: dict[tuple[str, Table, int | None], pa.Table] = {}

    def cut(lake: Lake, table: Table, first=None, last=None, version=None, columns=None) -> pa.Table:
        name = (lake._pipeline, table, version)
        if name not in tables:
            tables[name] = read(lake, table, version=version)
        rows = tables[name]
        keys = rows.column(PARTITION)
        wanted = pc.and_(pc.greater_equal(keys, first or ""), pc.less_equal(keys, last or "~"))
        return rows.filter(wanted).select(columns or rows.column_names)

    monkeypatch.setattr(Lake, "read", cut)


@pytest.mark.usefixtures("read_once")
def test_sets_and_lookups_from_the_lake(open_shops):
    pipeline = open_shops.open(changes={"window: 60 days": "window: 90 days"})
    spec = pipeline.spec
    rows, versions = read_window(pipeline, "2024-04-09")
    whole = build_features(spec, rows)
    days = list(spec.calendar.between("2024-01-10", "2024-04-08"))
    for day in days:
        alone = partition_features(spec, to_frame(rows_with_look_back(pipeline, day)), day)
        assert same_bytes(alone, whole[(rows[PARTITION] == day).to_numpy()]), day
    print(f"{len(days)} days with sets and lookups, each read alone: all the same")
    assert whole["price"].notna().sum() > 200
    assert whole["price"].isna().sum() > 20
    trained = assemble(spec, rows, "2024-04-09", versions, {})
    last = (trained.rows[PARTITION] == days[-1]).to_numpy()
    assert same_bytes(trained.features[last], alone)


def test_a_change_of_one_bit_is_seen(open_shops):
    pipeline = open_shops.open()
    rows = to_frame(rows_with_look_back(pipeline, "2024-03-01"))
    whole = build_features(pipeline.spec, rows)
    moved = whole.assign(week=np.nextafter(whole["week"], np.inf))
    assert same_bytes(whole, whole.copy())
    assert not same_bytes(whole, moved)


def test_a_backtest_sees_the_rows_that_scoring_sees(open_shops):
    pipeline = open_shops.open()
    from evergreen.backtest.run import read_rows

    history = History(pipeline.spec, read_rows(pipeline, "2024-01-01", "2024-03-10"))
    for day in ("2024-02-01", "2024-03-10"):
        alone = partition_features(pipeline.spec, to_frame(rows_with_look_back(pipeline, day)), day)
        assert same_bytes(history.features(day), alone)
    assert "offer_price" in history.own_rows("2024-03-10").columns
    assert pipeline.lake.partitions(Table.PARTITIONS)[-1] > "2024-03-10"
