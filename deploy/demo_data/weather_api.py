"""The demo's weather API: hourly observations of a day, in pages, protected by an API key.

`GET /v1/hourly?day=2011-01-01` answers `{"data": [...], "next": "<cursor>" or null}`; `cursor=<cursor>`
requests the next page. It serves the data of `make load DATA=file`, else the simulator up to yesterday. A day
without observations has an empty page.
"""

from __future__ import annotations

import os
import secrets
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from fastapi import Depends, FastAPI, Header, HTTPException, Query

from deploy.demo_data.simulator import FIRST_DAY, simulate
from deploy.demo_data.sources import yesterday

WEATHER_FILE = "weather.parquet"


def create_app(folder: Path, api_key: str) -> FastAPI:
    """The API over the weather in `folder`, or the simulator if there is none; requests need `api_key`."""
    app = FastAPI(title="Demo weather", docs_url=None, redoc_url=None, openapi_url=None)

    def check_key(x_api_key: Annotated[str | None, Header()] = None) -> None:
        if x_api_key is None or not secrets.compare_digest(x_api_key.encode(), api_key.encode()):
            raise HTTPException(401, "give the API key in the header X-API-Key")

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/v1/hourly", dependencies=[Depends(check_key)])
    def hourly(
        day: date,
        limit: Annotated[int, Query(ge=1, le=1000)] = 10,
        cursor: Annotated[int, Query(ge=0)] = 0,
    ) -> dict[str, Any]:
        rows = _observations(folder / WEATHER_FILE, day)
        page = rows.iloc[cursor : cursor + limit].copy()
        page["hour"] = page["hour"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        after = cursor + limit
        return {"data": page.to_dict("records"), "next": str(after) if after < len(rows) else None}

    return app


def app_from_environment() -> FastAPI:
    """The API over `EVERGREEN_HOME` with the key in `WEATHER_API_KEY`."""
    return create_app(Path(os.environ["EVERGREEN_HOME"]) / "source", os.environ["WEATHER_API_KEY"])


def _observations(file: Path, day: date) -> pd.DataFrame:
    if file.exists():
        start = pd.Timestamp(day, tz="UTC")
        window = [("hour", ">=", start), ("hour", "<", start + timedelta(days=1))]
        return pd.read_parquet(file, filters=window)
    if not FIRST_DAY <= day <= yesterday():
        return simulate(FIRST_DAY, FIRST_DAY - timedelta(days=1)).weather
    return simulate(day, day).weather
