from __future__ import annotations

from datetime import UTC, datetime

import pytest

from evergreen.alerts.alert import Alert
from evergreen.metrics import METRICS
from evergreen.models_site.listing import Listing, worse_by
from evergreen.models_site.overview import render_overview
from evergreen.status.summary import Night, Status

ALERT = Alert("bias", "warning", "it is <b>biased</b>", "too high by 3", "bikes", "2024-01-02")
FOUND = [
    Status("wine", problem="storage cannot be reached"),
    Status("bikes", "2024-01-01-aa", age=3, metric="mae", error=12.0, promised=10.0, alerts=(ALERT,)),
    Status("iris", to_do="nothing is published yet: evergreen ingest iris"),
    Status(
        "trips",
        "2024-01-01-bb",
        age=9,
        metric="mae",
        error=8.0,
        promised=10.0,
        next_at=datetime(2024, 1, 3, 2, tzinfo=UTC),
    ),
]


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({}, ["bikes", "iris", "trips", "wine"]),
        ({"turned": "yes"}, ["wine", "trips", "iris", "bikes"]),
        ({"sort": "age"}, ["trips", "bikes", "iris", "wine"]),
        ({"sort": "age", "turned": "yes"}, ["bikes", "trips", "iris", "wine"]),
        ({"sort": "error"}, ["bikes", "trips", "iris", "wine"]),
        ({"show": "alerts"}, ["bikes"]),
        ({"show": "attention"}, ["bikes", "iris", "wine"]),
        ({"show": "none"}, ["iris", "wine"]),
        ({"name": " RI"}, ["iris", "trips"]),
        ({"sort": "<script>", "show": "everything"}, ["bikes", "iris", "trips", "wine"]),
    ],
)
def test_it_filters_and_sorts_and_what_is_not_known_comes_last(asked: dict[str, str], names: list[str]):
    assert [one.pipeline for one in Listing.of(asked).chosen(FOUND)] == names


@pytest.mark.parametrize("name", METRICS)
def test_what_is_worse_than_promised_is_so_by_any_metric(name: str):
    high, low = (Status("one", metric=name, error=error, promised=0.8) for error in (0.9, 0.7))
    better, worse = (high, low) if METRICS[name].higher_is_better else (low, high)
    assert [one > 0 for status in (better, worse) if (one := worse_by(status)) is not None] == [False, True]
    page = render_overview([better, worse], Listing())
    assert "<b>1</b><span>worse than promised" in page
    assert page.count('<b class="worse">') == 1


def test_a_heading_sorts_and_sorts_the_other_way_again():
    listing = Listing.of({"show": "alerts", "sort": "age"})
    assert listing.by("error") == "?show=alerts&sort=error"
    assert listing.by("age") == "?show=alerts&sort=age&turned=yes"
    assert Listing.of({"sort": "age", "turned": "yes"}).by("age") == "?show=all&sort=age"


def test_the_page_says_of_each_what_is_known_and_escapes_it():
    html = render_overview(FOUND, Listing.of({"name": '"><script>'}))
    assert "<script" not in html
    html = render_overview(FOUND, Listing())
    assert "it is &lt;b&gt;biased&lt;/b&gt;" in html
    assert "storage cannot be reached" in html
    assert "To do: nothing is published yet" in html
    assert 'aria-sort="ascending"' in html


def test_without_pipelines_it_says_how_one_is_made():
    assert "makes one" in render_overview([], Listing())


def test_a_sparkline_tells_its_values_in_words_and_needs_two_nights():
    def status(count: int) -> Status:
        nights = [
            Night(f"2024-01-0{d}", "v", 9.0, 9.0 + d, 10.0, 0.0, False, "") for d in range(1, count + 1)
        ]
        return Status("bikes", "2024-01-01-aa", metric="mae", error=9.0, nights=tuple(nights))

    assert "mae from 2024-01-01 to 2024-01-03: 10, 11, 12" in render_overview([status(3)], Listing())
    assert "polyline" not in render_overview([status(1)], Listing())
