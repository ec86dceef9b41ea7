from __future__ import annotations

from datetime import date, timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.demo_data.simulator import FARES_HALVED, FIRST_DAY, _apparent, simulate
from deploy.demo_data.sources import CONDITIONS, RENTALS, WEATHER, DataError
from tests.campaign import examples


@given(day=st.dates(FIRST_DAY, date(2030, 12, 31)), before=st.integers(0, 40), after=st.integers(0, 3))
@settings(max_examples=examples(40), deadline=None)
def test_a_day_alone_equals_the_same_day_in_a_range(day: date, before: int, after: int) -> None:
    alone = simulate(day, day)
    first = max(FIRST_DAY, day - timedelta(days=before))
    ranged = simulate(first, day + timedelta(days=after))
    rentals, weather = ranged.rentals, ranged.weather
    of_day = rentals[rentals["rented_at"].dt.date == day].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone.rentals, of_day)
    of_day = weather[weather["hour"].dt.date == day].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone.weather, of_day)


def test_two_years_look_like_rentals_and_weather() -> None:
    data = simulate(date(2011, 1, 1), date(2012, 12, 31))
    rentals, weather = data.rentals, data.weather
    assert list(rentals.columns) == list(RENTALS)
    assert list(weather.columns) == list(WEATHER)
    assert len(rentals) == len(weather) == 731 * 24
    assert rentals["rented_at"].is_unique
    assert (rentals["cnt"] == rentals["casual"] + rentals["registered"]).all()
    assert rentals["cnt"].min() >= 0
    assert weather["humidity"].between(0, 100).all()
    assert (weather["wind_speed"].between(0, 100) | (weather["wind_speed"] == 999)).all()
    assert set(weather["condition"]) == set(CONDITIONS)
    month = weather["hour"].dt.month
    assert weather.loc[month == 7, "temperature"].mean() > weather.loc[month == 1, "temperature"].mean() + 15
    # The commuters' hours stand out on working days, the afternoon on the others.
    hour = rentals["rented_at"].dt.hour
    working = (rentals["rented_at"].dt.dayofweek < 5) & ~rentals["holiday"]
    assert rentals[working].groupby(hour[working])["registered"].mean().idxmax() in (17, 18)
    assert rentals[~working].groupby(hour[~working])["casual"].mean().idxmax() in range(12, 17)


def test_holidays_are_the_federal_ones() -> None:
    rentals = simulate(date(2011, 1, 1), date(2011, 12, 31)).rentals
    found = sorted(rentals.loc[rentals["holiday"], "rented_at"].dt.date.unique())
    # The list of the U.S. Office of Personnel Management for 2011 (New Year was observed the year before).
    assert [str(day) for day in found] == [
        *("2011-01-17", "2011-02-21", "2011-05-30", "2011-07-04", "2011-09-05"),
        *("2011-10-10", "2011-11-11", "2011-11-24", "2011-12-26"),
    ]


def test_the_announced_drift_lifts_demand_on_its_day_and_not_before() -> None:
    rentals = simulate(date(2011, 3, 28), date(2011, 4, 24)).rentals
    weekly = rentals.groupby(rentals["rented_at"].dt.date >= FARES_HALVED)["registered"].mean()
    assert weekly[True] > 1.3 * weekly[False]


def test_the_sensor_fails_on_about_one_day_in_thirty_for_an_hour() -> None:
    weather = simulate(date(2012, 1, 1), date(2019, 12, 31)).weather
    faults = weather[weather["wind_speed"] == 999].groupby(weather["hour"].dt.date).size()
    assert faults.max() == 1
    assert 2922 / 30 * 0.7 < len(faults) < 2922 / 30 * 1.3


def test_apparent_temperature_by_hand() -> None:
    # e = 0.5 * 6.105 * exp(17.27 * 30 / 267.7) = 21.144 hPa; 30 + 0.33 e - 0.70 * 2.7778 m/s - 4 = 31.033
    assert float(_apparent(30.0, 50.0, 10.0)) == pytest.approx(31.033, abs=0.01)


def test_no_days_give_no_rows() -> None:
    data = simulate(date(2011, 1, 2), date(2011, 1, 1))
    assert len(data.rentals) == len(data.weather) == 0


def test_days_before_the_beginning_are_refused() -> None:
    with pytest.raises(DataError, match="begins on 2011-01-01"):
        simulate(date(2010, 12, 31), date(2011, 1, 1))
