"""Features of hourly bike demand: calendar, the day's weather, and the demand of the days before.

Counts enter only through days strictly before a row's own: neither `cnt` of the day that is predicted nor its
parts, `casual` and `registered`, are looked at. The weather of the day itself is known when it is scored.

Everything is laid out as a table of days by hours, and means over earlier days are added up day by day in a
fixed order: so a day has bit for bit the same features alone with its look-back as within a whole year.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Cells = NDArray[np.float64]

HOURS = 24
LOOK_BACK = 28
CONDITIONS = {"clear": 0.0, "mist": 1.0, "light_rain": 2.0, "heavy_rain": 3.0}
WET = CONDITIONS["light_rain"]


def build(rows: pd.DataFrame) -> pd.DataFrame:
    """Features of hourly rows in the order of time, which hold the 28 days before the first day of interest.

    Demand is in rentals an hour. `like` days are working days for a working day, free days for a free one.
    """
    time = rows["rented_at"].dt
    midnight = time.normalize()
    first = midnight.iloc[0]
    day = (midnight - first).dt.days.to_numpy()
    hour = time.hour.to_numpy()
    days = int(day[-1]) + 1

    def table(values: NDArray[np.generic]) -> Cells:
        cells = np.full((days, HOURS), np.nan)
        cells[day, hour] = values
        return cells

    demand, casual = (table(rows[name].to_numpy(float)) for name in ("cnt", "casual"))
    temperature, humidity = (table(rows[name].to_numpy(float)) for name in ("temperature", "humidity"))
    condition = table(rows["condition"].map(CONDITIONS).to_numpy(float))
    weekday = (first.dayofweek + np.arange(days)) % 7
    holiday = np.fmax.reduce(table(rows["holiday"].to_numpy(float)), axis=1, initial=0.0)
    working = (weekday < 5) & (holiday == 0)

    dry = np.where(condition < WET, demand, np.nan)
    like = means_before(np.stack([demand, dry, casual]), (7, LOOK_BACK), alike=working)
    whole_days = means_before(np.stack([demand, temperature, condition]), (1, 7, LOOK_BACK), daily=True)
    level = {span: mean[0] for span, mean in whole_days.items()}
    warmth = {span: mean[1] for span, mean in whole_days.items()}
    sky = {span: mean[2] for span, mean in whole_days.items()}
    day_temperature = mean_of_day(temperature)

    columns = {
        "hour": np.arange(HOURS),
        "weekday": by_day(weekday),
        "working": by_day(working),
        "holiday": by_day(holiday),
        "working_yesterday": before(by_day(working.astype(float)), 1),
        "temperature": temperature,
        "feels_like": table(rows["feels_like"].to_numpy(float)),
        "humidity": humidity,
        "wind_speed": table(rows["wind_speed"].to_numpy(float)),
        "condition": condition,
        "condition_hour_before": within_day(condition, 1),
        "condition_hour_after": within_day(condition, -1),
        "worst_of_3_hours": np.fmax(condition, np.fmax(within_day(condition, 1), within_day(condition, 2))),
        "day_condition": mean_of_day(condition),
        "day_wet_hours": by_day((condition >= WET).sum(axis=1)),
        "day_temperature": day_temperature,
        "day_humidity": mean_of_day(humidity),
        "warmer_than_week": day_temperature - warmth[7],
        "warmer_than_month": day_temperature - warmth[LOOK_BACK],
        "week_condition": sky[7],
        "yesterday_condition": sky[1],
        "yesterday_temperature": warmth[1],
        "demand_yesterday": before(demand, 1),
        "demand_week_ago": before(demand, 7),
        "demand_last_like_day": newest_before(demand, working),
        "demand_7_like_days": like[7][0],
        "demand_28_like_days": like[LOOK_BACK][0],
        "demand_28_like_days_dry": like[LOOK_BACK][1],
        "casual_28_like_days": like[LOOK_BACK][2],
        "trend_yesterday": ratio(level[1], level[LOOK_BACK]),
        "trend_week": ratio(level[7], level[LOOK_BACK]),
    }
    values = [np.broadcast_to(cells, (days, HOURS))[day, hour].astype(float) for cells in columns.values()]
    return pd.DataFrame(np.column_stack(values), columns=list(columns), index=rows.index)


def means_before(
    cells: Cells, spans: tuple[int, ...], alike: NDArray[np.bool_] | None = None, daily: bool = False
) -> dict[int, Cells]:
    """Means of tables (n, days, hours) over the 1..span days before each day, by span; NaN if none is known.

    Each hour has a mean of its own or, with `daily`, all hours of a day have one together. With `alike`
    (days,) only days with the same value as the day itself count.
    """
    known = np.isfinite(cells).astype(float)
    filled = np.where(np.isfinite(cells), cells, 0.0)
    if daily:
        known, filled = known.sum(axis=2, keepdims=True), filled.sum(axis=2, keepdims=True)
    total, count = np.zeros(filled.shape), np.zeros(filled.shape)
    means = {}
    for lag in range(1, max(spans) + 1):
        if lag < filled.shape[1]:
            counts = 1.0 if alike is None else by_day(alike[lag:] == alike[:-lag])
            total[:, lag:] += filled[:, :-lag] * counts
            count[:, lag:] += known[:, :-lag] * counts
        if lag in spans:
            means[lag] = ratio(total, count)
    return means


def newest_before(cells: Cells, alike: NDArray[np.bool_]) -> Cells:
    """The same hour of the newest of the 28 days before that has today's value of `alike` (days,)."""
    found = np.full(cells.shape, np.nan)
    for lag in range(1, min(LOOK_BACK, len(cells) - 1) + 1):
        earlier = np.where(by_day(alike[lag:] == alike[:-lag]), cells[:-lag], np.nan)
        found[lag:] = np.where(np.isnan(found[lag:]), earlier, found[lag:])
    return found


def before(cells: Cells, days: int) -> Cells:
    """The values of so many days earlier; NaN where the rows do not reach."""
    shifted = np.full(cells.shape, np.nan)
    shifted[days:] = cells[:-days]
    return shifted


def within_day(cells: Cells, hours: int) -> Cells:
    """The values of so many hours earlier (later if negative) on the same day; NaN across midnight."""
    shifted = np.full(cells.shape, np.nan)
    if hours > 0:
        shifted[:, hours:] = cells[:, :-hours]
    else:
        shifted[:, :hours] = cells[:, -hours:]
    return shifted


def mean_of_day(cells: Cells) -> Cells:
    """Mean of each day's known hours, (days, 1)."""
    known = np.isfinite(cells)
    total = np.where(known, cells, 0.0).sum(axis=1, keepdims=True)
    return ratio(total, known.sum(axis=1, keepdims=True).astype(float))


def by_day(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """One value a day as a column, to stand for each of its hours."""
    return values[:, None]


def ratio(part: Cells, whole: Cells) -> Cells:
    """`part / whole`; NaN where the whole is zero or unknown."""
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
