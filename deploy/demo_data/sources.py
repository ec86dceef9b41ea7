"""The columns of both kinds of demo data, and the record of the one that is loaded."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

RENTALS = ("rented_at", "holiday", "casual", "registered", "cnt")
RENTALS_TABLE = """
CREATE TABLE IF NOT EXISTS rentals (
    rented_at timestamptz PRIMARY KEY,
    holiday boolean NOT NULL,
    casual integer,
    registered integer,
    cnt integer
)
"""
WEATHER = ("hour", "temperature", "feels_like", "humidity", "wind_speed", "condition")
CONDITIONS = ("clear", "mist", "light_rain", "heavy_rain")


class DataError(Exception):
    """The data cannot be used; the message is one line that names what to do."""


@dataclass(frozen=True)
class DemoData:
    """Hourly rows of both sources, ordered by hour.

    `rentals` has the columns of `RENTALS`; `weather` those of `WEATHER`: degrees Celsius, per cent of
    humidity, km/h, one of `CONDITIONS`. Hours are UTC timestamps (the local clock, taken as UTC).
    """

    rentals: pd.DataFrame = field(repr=False)
    weather: pd.DataFrame = field(repr=False)


@dataclass(frozen=True)
class Loaded:
    """Which data the source database holds: a kind (`file` or `simulated`), and its first and last day."""

    kind: str
    first: date
    last: date

    @classmethod
    def read(cls, folder: Path) -> Loaded | None:
        """What was loaded last; None if nothing was."""
        try:
            found = json.loads((folder / "loaded.json").read_text())
        except FileNotFoundError:
            return None
        return cls(found["kind"], date.fromisoformat(found["first"]), date.fromisoformat(found["last"]))

    def as_json(self) -> str:
        """The form that `read` understands."""
        return json.dumps({"kind": self.kind, "first": str(self.first), "last": str(self.last)})


def yesterday() -> date:
    """The last complete day in UTC, where simulated history ends."""
    return datetime.now(tz=UTC).date() - timedelta(days=1)
