from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from deploy.demo_data.simulator import simulate
from deploy.demo_data.sources import yesterday
from deploy.demo_data.weather_api import WEATHER_FILE, create_app

KEY = {"X-API-Key": "the key"}


@pytest.fixture
def simulated(tmp_path: Path) -> TestClient:
    return TestClient(create_app(tmp_path, "the key"))


@pytest.fixture
def loaded(tmp_path: Path) -> TestClient:
    simulate(date(2011, 1, 1), date(2011, 1, 2)).weather.to_parquet(tmp_path / WEATHER_FILE)
    return TestClient(create_app(tmp_path, "the key"))


def pages(client: TestClient, day: str, **params: Any) -> list[list[dict[str, Any]]]:
    found, cursor = [], None
    while True:
        query = {"day": day, **params, **({"cursor": cursor} if cursor else {})}
        answer = client.get("/v1/hourly", params=query, headers=KEY).raise_for_status().json()
        found.append(answer["data"])
        cursor = answer["next"]
        if cursor is None:
            return found


def test_a_day_comes_in_pages_of_ten(simulated: TestClient) -> None:
    found = pages(simulated, "2011-01-01")
    assert [len(page) for page in found] == [10, 10, 4]
    rows = pd.DataFrame([row for page in found for row in page])
    assert list(rows["hour"]) == [f"2011-01-01T{hour:02d}:00:00Z" for hour in range(24)]
    expected = simulate(date(2011, 1, 1), date(2011, 1, 1)).weather
    pd.testing.assert_frame_equal(rows.drop(columns="hour"), expected.drop(columns="hour"), check_dtype=False)


@pytest.mark.parametrize(("limit", "sizes"), [(24, [24]), (23, [23, 1]), (12, [12, 12]), (1000, [24])])
def test_the_page_size_can_be_chosen(simulated: TestClient, limit: int, sizes: list[int]) -> None:
    assert [len(page) for page in pages(simulated, "2011-07-01", limit=limit)] == sizes


def test_a_loaded_file_is_served_instead_of_the_simulator(loaded: TestClient) -> None:
    assert [len(page) for page in pages(loaded, "2011-01-02")] == [10, 10, 4]
    assert pages(loaded, "2011-01-03") == [[]]


@pytest.mark.parametrize("day", ["2010-12-31", str(yesterday() + timedelta(days=1)), "2999-01-01"])
def test_a_day_without_observations_is_an_empty_page(simulated: TestClient, day: str) -> None:
    assert pages(simulated, day) == [[]]


@pytest.mark.parametrize(
    "headers", [{}, {"X-API-Key": "wrong"}, {"X-API-Key": ""}, {"X-API-Key": "kéy".encode()}]
)
def test_without_the_key_nothing_is_told(simulated: TestClient, headers: dict[str, Any]) -> None:
    answer = simulated.get("/v1/hourly", params={"day": "2011-01-01"}, headers=headers)
    assert answer.status_code == 401
    assert "data" not in answer.json()


@pytest.mark.parametrize(
    "params", [{}, {"day": "soon"}, {"day": "2011-01-01", "limit": 0}, {"day": "2011-01-01", "cursor": "x"}]
)
def test_bad_questions_are_refused(simulated: TestClient, params: dict[str, Any]) -> None:
    assert simulated.get("/v1/hourly", params=params, headers=KEY).status_code == 422


def test_other_paths(simulated: TestClient) -> None:
    assert simulated.get("/v2/hourly").status_code == 404
    assert simulated.get("/health").json() == {"status": "ok"}
