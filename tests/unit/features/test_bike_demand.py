"""The features of the demo pipeline, on simulated rows with holes in them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.features.build import build_features, rows_to_score
from evergreen.spec import load_spec
from tests.campaign import examples

CONDITIONS = ["clear", "mist", "light_rain", "heavy_rain"]
DAYS = 60


@pytest.fixture(scope="module")
def spec():
    return load_spec("bike_demand")


def simulated() -> pd.DataFrame:
    random = np.random.default_rng(7)
    at = pd.date_range("2024-02-01", periods=DAYS * 24, freq="h", tz="UTC").as_unit("us")
    # As in the real file, hours without a rental are missing, and one day is missing altogether.
    there = (random.random(len(at)) > 0.02) & ~((at >= "2024-03-05") & (at < "2024-03-06"))
    at = at[there]
    casual, registered = random.poisson(20, len(at)), random.poisson(90, len(at))
    return pd.DataFrame(
        {
            "rented_at": at,
            "holiday": at.normalize().isin(pd.to_datetime(["2024-02-19", "2024-03-29"], utc=True)),
            "casual": casual,
            "registered": registered,
            "cnt": casual + registered,
            "temperature": random.normal(12, 6, len(at)),
            "feels_like": random.normal(11, 6, len(at)),
            "humidity": random.uniform(20, 100, len(at)),
            "wind_speed": random.uniform(0, 40, len(at)),
            "condition": random.choice(CONDITIONS, len(at), p=[0.6, 0.25, 0.1, 0.05]),
            "partition": at.strftime("%Y-%m-%d"),
        }
    )


ROWS = simulated()
KEYS = sorted(ROWS["partition"].unique())


@given(key=st.sampled_from(KEYS))
@settings(max_examples=examples(25), deadline=None)
def test_a_day_alone_has_bit_for_bit_the_features_it_has_within_the_window(spec, key):
    whole = build_features(spec, ROWS)
    own = ROWS["partition"] == key
    alone = rows_to_score(spec, ROWS, key)
    features = build_features(spec, alone)[(alone["partition"] == key).to_numpy()]
    assert features.columns.equals(whole.columns)
    assert features.to_numpy().tobytes() == whole[own].to_numpy().tobytes()


@given(key=st.sampled_from(KEYS[40:]), start=st.integers(0, 10))
@settings(max_examples=examples(15), deadline=None)
def test_a_day_has_the_same_features_however_early_the_rows_begin(spec, key, start):
    some = ROWS[(ROWS["partition"] >= KEYS[start]) & (ROWS["partition"] <= key)]
    alone = rows_to_score(spec, ROWS, key)
    left = build_features(spec, some)[(some["partition"] == key).to_numpy()]
    right = build_features(spec, alone)[(alone["partition"] == key).to_numpy()]
    assert some["partition"].min() <= alone["partition"].min()
    assert left.to_numpy().tobytes() == right.to_numpy().tobytes()


@given(
    key=st.sampled_from(KEYS),
    counts=st.sampled_from([0, 1, 977, 10**6]),
    columns=st.sets(st.sampled_from(["cnt", "casual", "registered"]), min_size=1),
)
@settings(max_examples=examples(25), deadline=None)
def test_no_feature_sees_the_counts_of_its_own_day_or_a_later_one(spec, key, counts, columns):
    changed = ROWS.copy()
    changed.loc[changed["partition"] >= key, sorted(columns)] = counts
    known = (ROWS["partition"] <= key).to_numpy()
    before, after = build_features(spec, ROWS)[known], build_features(spec, changed)[known]
    assert before.to_numpy().tobytes() == after.to_numpy().tobytes()


def test_yesterdays_counts_do_matter(spec):
    changed = ROWS.copy()
    changed.loc[changed["partition"] == KEYS[39], ["cnt", "casual"]] = 5000
    today = (ROWS["partition"] == KEYS[40]).to_numpy()
    before, after = build_features(spec, ROWS)[today], build_features(spec, changed)[today]
    moved = {name for name in before if not before[name].equals(after[name])}
    assert {"demand_yesterday", "demand_28_like_days", "casual_28_like_days", "trend_week"} <= moved


def test_means_are_those_that_pandas_finds_by_another_way(spec):
    features = build_features(spec, ROWS)
    key = KEYS[45]
    today = ROWS["partition"] == key
    earlier = ROWS[(ROWS["partition"] < key) & (ROWS["partition"] >= KEYS[45 - 28])]
    day = pd.Timestamp(key, tz="UTC")
    earlier = earlier[earlier["rented_at"] >= day - pd.Timedelta(days=28)]

    def working(rows: pd.DataFrame) -> pd.Series:
        return (rows["rented_at"].dt.dayofweek < 5) & ~rows["holiday"]

    alike = earlier[working(earlier) == bool(working(ROWS[today]).iloc[0])]
    wanted = alike.groupby(alike["rented_at"].dt.hour)["cnt"].mean()
    hours = features.loc[today, "hour"].astype(int)
    np.testing.assert_allclose(features.loc[today, "demand_28_like_days"], wanted[hours], rtol=1e-12)

    week = earlier[earlier["rented_at"] >= day - pd.Timedelta(days=7)]["cnt"].mean()
    np.testing.assert_allclose(features.loc[today, "trend_week"], week / earlier["cnt"].mean(), rtol=1e-12)


def test_calendar_and_weather(spec):
    features = build_features(spec, ROWS).assign(at=ROWS["rented_at"], condition_was=ROWS["condition"])
    holiday = features[features["at"].dt.strftime("%Y-%m-%d") == "2024-02-19"]
    assert set(holiday["weekday"]) == {0.0}
    assert set(holiday["working"]) == {0.0}
    assert features["hour"].tolist() == ROWS["rented_at"].dt.hour.tolist()
    assert (features["condition"] == ROWS["condition"].map(CONDITIONS.index)).all()


def test_one_day_and_nothing_before_it_still_gives_features(spec):
    first = ROWS[ROWS["partition"] == KEYS[0]]
    features = build_features(spec, first)
    assert features["temperature"].equals(first["temperature"])
    assert features["demand_28_like_days"].isna().all()
