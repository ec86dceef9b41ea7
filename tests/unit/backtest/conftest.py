"""The kiosk's sales, made up: what the tests of the backtest replay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evergreen.spec import Spec, parse_spec

Sales = Callable[..., pd.DataFrame]


@pytest.fixture(scope="session")
def kiosk() -> Spec:
    """A pipeline of four rows a day, whose models are fit in milliseconds."""
    return parse_spec(Path(__file__).parents[2] / "pipelines" / "kiosk" / "pipeline.yaml")


@pytest.fixture(scope="session")
def days(kiosk: Spec) -> list[str]:
    """The keys of three months."""
    return list(kiosk.calendar.between("2024-01-01", "2024-03-31"))


@pytest.fixture(scope="session")
def sales(days: list[str]) -> Sales:
    """Rows of the kiosk: sales follow the temperature, and from a day on they are three times as high."""

    def made(count: int = 60, growth_from: int = 10_000) -> pd.DataFrame:
        draw, hours = np.random.default_rng(7), (6, 10, 14, 18)
        at = [pd.Timestamp(key, tz="UTC") + pd.Timedelta(hours=h) for key in days[:count] for h in hours]
        temperature = 20 + 5 * draw.normal(size=4 * count)
        level = np.where(np.arange(4 * count) // 4 >= growth_from, 3.0, 1.0)
        frame = pd.DataFrame({"at": pd.DatetimeIndex(at).as_unit("us"), "temperature": temperature})
        frame["sold"] = level * temperature + draw.normal(size=4 * count)
        return frame.assign(partition=frame["at"].dt.strftime("%Y-%m-%d"))

    return made
