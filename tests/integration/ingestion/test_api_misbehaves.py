"""The API says no, stumbles, or answers nonsense: what is asked again, and what is told."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from fastapi import Response

from evergreen.errors import RefusedError, SourceError, UnavailableError
from evergreen.ingestion import http
from evergreen.ingestion.stage import ingest

DAYS = ["2011-01-01", "2011-01-02", "2011-01-03"]
PAGES = 3  # of ten hours each make a day


class TestTheApiMisbehaves:
    @pytest.mark.parametrize(
        ("status", "remedy"),
        [(401, "check the key or password"), (404, "check the connection's host and the source's path")],
    )
    def test_a_no_is_asked_once_and_says_what_to_do(self, world, weather, status, remedy):
        weather.script = [Response(status_code=status)]
        with pytest.raises(
            SourceError, match=f"^bike_demand 2011-01-01: source 'weather': .*{status}: {remedy}"
        ):
            world.night(DAYS[0])
        assert len(weather.asked) == 1
        assert world.pipeline.lake.partitions() == []

    def test_a_wrong_key_is_not_repeated_in_the_message(self, world, weather):
        wrong = replace(world.connections["weather_api"], password="wr0ng-secret")
        world.connections["weather_api"] = wrong
        with pytest.raises(SourceError, match="answered 401") as told:
            ingest(world.pipeline, DAYS[:1])
        assert "wr0ng-secret" not in str(told.value)

    def test_too_many_requests_then_well(self, world, weather):
        weather.script = [Response(status_code=429, headers={"Retry-After": "1"})]
        begun = time.monotonic()
        assert world.night(DAYS[0]).rows == 24
        assert time.monotonic() - begun >= 1
        assert len(weather.asked) == PAGES + 1

    def test_500_thrice_then_well(self, world, weather):
        weather.script = [Response(status_code=500) for _ in range(3)]
        assert world.night(DAYS[0]).rows == 24
        assert len(weather.asked) == PAGES + 3

    def test_500_for_good_is_a_matter_for_a_retry_of_the_task(self, world, weather):
        weather.script = [Response(status_code=500) for _ in range(50)]
        with pytest.raises(
            UnavailableError, match=r"source 'weather': /v1/hourly: the API answered 500, 5 times"
        ):
            ingest(world.pipeline, DAYS[:1])
        assert len(weather.asked) == http.ATTEMPTS

    def test_half_a_document_is_asked_for_again(self, world, weather):
        weather.script = [Response('{"data": [{"hour": "2011-01', media_type="application/json")]
        assert world.night(DAYS[0]).rows == 24
        assert len(weather.asked) == PAGES + 1

    def test_an_empty_page_refuses_the_day(self, world, weather):
        weather.days[DAYS[1]] = []
        with pytest.raises(RefusedError, match=r"^bike_demand 2011-01-02: source 'weather' gave no rows"):
            world.night(DAYS[1])
        assert len(weather.asked) == 1

    def test_a_cursor_that_loops(self, world, weather):
        weather.script = [weather.json({"data": [], "next": "x"}), weather.json({"data": [], "next": "x"})]
        with pytest.raises(SourceError, match="cursor 'x' came twice"):
            world.night(DAYS[0])
        assert len(weather.asked) == 2

    def test_a_redirect_elsewhere_is_not_followed(self, world, weather):
        weather.script = [Response(status_code=302, headers={"Location": "http://localhost:9/steal"})]
        with pytest.raises(SourceError, match="redirects to localhost, which is not followed"):
            world.night(DAYS[0])
        assert len(weather.asked) == 1

    def test_an_hour_that_comes_twice_breaks_the_promised_join(self, world, weather):
        weather.days[DAYS[0]].append(weather.days[DAYS[0]][3])
        with pytest.raises(RefusedError, match=r"source 'weather': 1 values of hour .*2011-01-01 03:00:00"):
            world.night(DAYS[0])

    def test_a_column_gone_or_of_another_type(self, world, weather):
        ingest(world.pipeline, DAYS[:1])
        for record in weather.days[DAYS[1]]:
            del record["humidity"]
        for record in weather.days[DAYS[2]]:
            record["humidity"] = "wet"
        with pytest.raises(RefusedError) as told:
            ingest(world.pipeline, DAYS)
        assert "bike_demand 2011-01-02: column 'humidity' is missing" in str(told.value)
        assert "bike_demand 2011-01-03: column 'humidity' was double and is string" in str(told.value)
        assert world.pipeline.lake.partitions() == DAYS[:1]
