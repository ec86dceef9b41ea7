"""Simulated rentals and weather for any day from 2011-01-01; the same day always gives the same data.

It contains:

- *seasons*: a yearly wave of temperature around 14 degrees C, warmest in late July, with spells of a few
  days that are warmer or colder, and a daily wave that peaks in the afternoon;
- *weather*: wet spells bring humidity and clouds, then rain; wind comes and goes; people ride most when it
  feels like 24 degrees C and is dry;
- *calendar*: commuters (registered) ride at 8 and at 17 to 18 o'clock on working days; visitors (casual)
  ride in the afternoon, and much more on weekends and holidays (the federal ones of the United States);
- *growth*: demand doubles within the first two years and levels off, then grows by 3 % a year;
- *the announced drift*: **on 11 April 2011 fares are halved**. From that day on registered demand is 1.6
  times and casual demand 2.2 times as high, permanently. A model trained on earlier days cannot know it, and
  weather and calendar do not show it;
- *a faulty sensor*: on about one day in 30 the wind of a single hour is the impossible value 999 km/h.

A day is drawn from a generator seeded by its date (`numpy.random.default_rng`); what persists from day
to day is a weighted sum of the draws of that day and earlier ones, so a day generated alone equals the same
day in a range. Felt temperature is the Australian Bureau of Meteorology's apparent temperature
(Steadman 1994).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.tseries.holiday import USFederalHolidayCalendar

from deploy.demo_data.sources import CONDITIONS, DataError, DemoData

FIRST_DAY = date(2011, 1, 1)
FARES_HALVED = date(2011, 4, 11)

_SPELL = 0.7 ** np.arange(8)
_SPELL /= np.sqrt((_SPELL**2).sum())
_SEED = 20110101
_FAULT = 999.0

_COMMUTE = np.array(
    [8, 4, 2, 2, 3, 12, 45, 130, 220, 115, 55, 62, 80, 78, 72, 85, 145, 260, 235, 155, 105, 75, 50, 25]
)
_LEISURE = np.array(
    [30, 22, 16, 8, 4, 5, 10, 22, 45, 75, 105, 125, 142, 148, 148, 145, 138, 125, 105, 82, 62, 48, 40, 34]
)
_DRY = np.array([1.0, 0.93, 0.62, 0.3])

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Draws:
    """Random numbers by day: standard normal, apart from `level`, which is gamma with mean 1."""

    spell: Floats  # (days, 3): temperature, wetness, wind
    hour: Floats  # (days, 24, 3): the same, within the day
    day: Floats  # (days,): how busy the day is
    level: Floats  # (days, 24, 2): how busy the hour is, casual and registered
    fault: Floats  # (days, 2): uniform, whether and when the sensor fails


def simulate(first: date, last: date) -> DemoData:
    """Every hour from `first` to `last`, both included; raises `DataError` before 2011-01-01.

    No rows if `last` is before `first`.
    """
    if first < FIRST_DAY:
        raise DataError(f"simulated history begins on {FIRST_DAY}: ask for a day from then on, not {first}")
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    hours = pd.date_range(first, periods=24 * len(days), freq="h", tz="UTC")
    if not days:
        days = [first]
    draws = _draw(days)
    calendar = pd.DatetimeIndex(days)
    weather = _weather(calendar, draws)
    holiday = np.asarray(calendar.isin(_holidays(days[0], days[-1])))
    casual, registered = _rentals(calendar, holiday, weather, draws)
    faulty = (draws.fault[:, 0] < 1 / 30)[:, None] & (
        np.arange(24) == np.floor(24 * draws.fault[:, 1])[:, None]
    )
    count = len(hours)
    rentals = pd.DataFrame(
        {
            "rented_at": hours,
            "holiday": np.repeat(holiday, 24)[:count],
            "casual": casual.ravel()[:count],
            "registered": registered.ravel()[:count],
            "cnt": (casual + registered).ravel()[:count],
        }
    )
    observed = pd.DataFrame(
        {
            "hour": hours,
            "temperature": weather["temperature"].ravel()[:count].round(1),
            "feels_like": weather["feels_like"].ravel()[:count].round(1),
            "humidity": weather["humidity"].ravel()[:count].round(0),
            "wind_speed": np.where(faulty, _FAULT, weather["wind_speed"]).ravel()[:count].round(1),
            "condition": np.array(CONDITIONS)[weather["condition"].astype(int).ravel()[:count]],
        }
    )
    return DemoData(rentals, observed)


def _draw(days: list[date]) -> _Draws:
    """Each day's numbers, and for the spells those of the days before."""
    before = len(_SPELL) - 1
    generators = [
        np.random.default_rng([_SEED, (days[0] + timedelta(days=n)).toordinal()])
        for n in range(-before, len(days))
    ]
    spell = np.array([generator.standard_normal(3) for generator in generators])
    own = generators[before:]
    weighted = sum(
        weight * spell[before - lag : before - lag + len(days)] for lag, weight in enumerate(_SPELL)
    )
    return _Draws(
        spell=np.asarray(weighted),
        hour=np.array([generator.standard_normal((24, 3)) for generator in own]),
        day=np.array([generator.standard_normal() for generator in own]),
        level=np.array([generator.gamma(40, 1 / 40, (24, 2)) for generator in own]),
        fault=np.array([generator.random(2) for generator in own]),
    )


def _weather(days: pd.DatetimeIndex, draws: _Draws) -> dict[str, Floats]:
    hour = np.arange(24)
    within = _smooth(draws.hour)
    season = 14 + 11 * np.sin(2 * np.pi * (days.dayofyear.to_numpy() - 112) / 365.25)
    wetness = draws.spell[:, 1, None] + 0.5 * within[:, :, 1]
    daily = np.where(wetness > 0.8, 1.5, 4.0) * np.sin(2 * np.pi * (hour - 9) / 24)
    temperature = season[:, None] + 4 * draws.spell[:, 0, None] + daily + 0.6 * within[:, :, 0]
    humidity = np.clip(60 + 15 * wetness - 2.2 * daily, 18, 100)
    wind = np.clip(12 + 5 * draws.spell[:, 2, None] + 4 * within[:, :, 2], 0, None)
    condition = np.digitize(wetness, [0.35, 1.25, 2.6]).astype(float)
    return {
        "temperature": temperature,
        "feels_like": _apparent(temperature, humidity, wind),
        "humidity": humidity,
        "wind_speed": wind,
        "condition": condition,
    }


def _apparent(temperature: Floats, humidity: Floats, wind: Floats) -> Floats:
    """Apparent temperature in degrees C from degrees C, per cent and km/h (Steadman 1994)."""
    vapour = humidity / 100 * 6.105 * np.exp(17.27 * temperature / (237.7 + temperature))
    return np.asarray(temperature + 0.33 * vapour - 0.70 * wind / 3.6 - 4.0)


def _rentals(
    days: pd.DatetimeIndex, holiday: NDArray[np.bool_], weather: dict[str, Floats], draws: _Draws
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    free = (holiday | (days.dayofweek.to_numpy() >= 5))[:, None]
    comfort = np.exp(-(((weather["feels_like"] - 24) / 22) ** 2))
    dry = _DRY[weather["condition"].astype(int)]
    fares = np.asarray(days >= pd.Timestamp(FARES_HALVED))[:, None]
    level = _growth(days)[:, None] * np.exp(0.1 * draws.day)[:, None]
    registered = np.where(free, 0.9 * _LEISURE, _COMMUTE) * (0.35 + 0.65 * comfort) * np.sqrt(dry)
    casual = np.where(free, 0.9, 0.28) * _LEISURE * comfort * dry
    registered = registered * level * np.where(fares, 1.6, 1.0) * draws.level[:, :, 1]
    casual = casual * level * np.where(fares, 2.2, 1.0) * draws.level[:, :, 0]
    return casual.round().astype("int64"), registered.round().astype("int64")


def _growth(days: pd.DatetimeIndex) -> Floats:
    """Demand relative to the first day."""
    years = (days - pd.Timestamp(FIRST_DAY)).days.to_numpy() / 365.25
    return np.asarray((1 + 1.2 * (1 - np.exp(-years / 1.1))) * 1.03**years)


def _smooth(noise: Floats) -> Floats:
    """Average over three hours, with the day as a circle, scaled to unit variance."""
    return np.asarray((np.roll(noise, 1, axis=1) + noise + np.roll(noise, -1, axis=1)) / np.sqrt(3))


def _holidays(first: date, last: date) -> pd.DatetimeIndex:
    return USFederalHolidayCalendar().holidays(pd.Timestamp(first), pd.Timestamp(last))
