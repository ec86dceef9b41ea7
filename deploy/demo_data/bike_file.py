"""Real data: the hourly file of the UCI bike sharing data set (Fanaee-T and Gama, 2013; CC BY 4.0).

Its weather is scaled to 0..1 and is converted back to units here, as the data set's description says:
temperature 47 t - 8 and felt temperature 66 t - 16 in degrees Celsius, humidity 100 h in per cent,
wind speed 67 w in km/h.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from deploy.demo_data.sources import CONDITIONS, RENTALS, WEATHER, DataError, DemoData

COLUMNS = (
    *("instant", "dteday", "season", "yr", "mnth", "hr", "holiday", "weekday", "workingday", "weathersit"),
    *("temp", "atemp", "hum", "windspeed", "casual", "registered", "cnt"),
)
_REMEDY = "give the UCI bike sharing data set's hour.csv"


def read_bike_file(path: Path) -> DemoData:
    """Both sources from `hour.csv`; raises `DataError` for any other file."""
    try:
        rows = pd.read_csv(path)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist: {_REMEDY}") from None
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path} is not a CSV file ({reason}): {_REMEDY}") from None
    missing = [name for name in COLUMNS if name not in rows.columns]
    if missing:
        raise DataError(f"{path} lacks the columns {', '.join(missing)}: {_REMEDY}")
    try:
        return _convert(rows)
    except (ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path} has a value that cannot be used ({reason}): {_REMEDY}") from None


def _convert(rows: pd.DataFrame) -> DemoData:
    hour = pd.to_datetime(rows["dteday"], format="ISO8601", utc=True) + pd.to_timedelta(rows["hr"], unit="h")
    if not len(rows) or hour.duplicated().any():
        raise ValueError("it has no rows, or an hour twice")
    condition = rows["weathersit"].map(dict(enumerate(CONDITIONS, start=1)))
    if condition.isna().any():
        raise ValueError("weathersit must be 1, 2, 3 or 4")
    rentals = pd.DataFrame(
        {
            "rented_at": hour,
            "holiday": rows["holiday"].astype(bool),
            **{name: rows[name].astype("int64") for name in ("casual", "registered", "cnt")},
        }
    )
    weather = pd.DataFrame(
        {
            "hour": hour,
            "temperature": (rows["temp"] * 47 - 8).round(2),
            "feels_like": (rows["atemp"] * 66 - 16).round(2),
            "humidity": (rows["hum"] * 100).round(1),
            "wind_speed": (rows["windspeed"] * 67).round(2),
            "condition": condition,
        }
    )
    return DemoData(
        rentals[list(RENTALS)].sort_values("rented_at", ignore_index=True),
        weather[list(WEATHER)].sort_values("hour", ignore_index=True),
    )
