from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from deploy.demo_data.bike_file import COLUMNS, read_bike_file
from deploy.demo_data.sources import DataError

HEADER = ",".join(COLUMNS)
FIRST = "1,2011-01-01,1,0,1,0,0,6,0,1,0.24,0.2879,0.81,0.0,3,13,16"
SECOND = "2,2011-01-01,1,0,1,5,1,6,0,4,0.5,0.5,0.5,0.5,8,32,40"


def write(folder: Path, *lines: str) -> Path:
    path = folder / "hour.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_rows_get_their_units_back(tmp_path: Path) -> None:
    data = read_bike_file(write(tmp_path, HEADER, SECOND, FIRST))
    assert data.rentals.to_dict("records") == [
        {
            "rented_at": pd.Timestamp("2011-01-01T00:00Z"),
            "holiday": False,
            "casual": 3,
            "registered": 13,
            "cnt": 16,
        },
        {
            "rented_at": pd.Timestamp("2011-01-01T05:00Z"),
            "holiday": True,
            "casual": 8,
            "registered": 32,
            "cnt": 40,
        },
    ]
    first, second = data.weather.to_dict("records")
    # 47 * 0.24 - 8, 66 * 0.2879 - 16, by hand
    assert (first["temperature"], first["feels_like"]) == (3.28, 3.0)
    assert (first["humidity"], first["wind_speed"], first["condition"]) == (81.0, 0.0, "clear")
    assert (second["temperature"], second["feels_like"]) == (15.5, 17.0)
    assert (second["humidity"], second["wind_speed"], second["condition"]) == (50.0, 33.5, "heavy_rain")


def test_missing_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lacks the columns instant, yr, mnth, hr, .*: give the UCI"):
        read_bike_file(write(tmp_path, "dteday,season", "2011-01-01,1"))


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([HEADER, FIRST.replace("2011-01-01", "yesterday")], "cannot be used"),
        ([HEADER, FIRST.replace(",1,0.24", ",9,0.24")], "weathersit must be 1, 2, 3 or 4"),
        ([HEADER, FIRST, FIRST], "an hour twice"),
        ([HEADER], "no rows"),
        (["a,b", "1,2", "1,2,3,4"], "not a CSV file"),
    ],
)
def test_what_is_not_the_file_is_refused_in_one_line(tmp_path: Path, lines: list[str], reason: str) -> None:
    with pytest.raises(DataError, match=reason) as refusal:
        read_bike_file(write(tmp_path, *lines))
    assert "\n" not in str(refusal.value)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.csv does not exist"):
        read_bike_file(tmp_path / "nowhere.csv")


def test_the_real_file() -> None:
    path = Path(__file__).parents[5] / "shared/data/bike_sharing/hour.csv"
    if not path.exists():
        pytest.skip("the UCI bike sharing file is not beside this repository")
    data = read_bike_file(path)
    # Counts of the data set's own description.
    assert (len(data.rentals), int(data.rentals["cnt"].sum())) == (17379, 3292679)
    assert len(data.weather) == 17379
    assert data.rentals["rented_at"].dt.date.nunique() == 731
