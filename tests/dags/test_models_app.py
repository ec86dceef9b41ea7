"""The site of models: who may read what, and what it says where there is nothing or the store fails."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.utils.session import create_session
from fastapi import FastAPI
from fastapi.testclient import TestClient

from evergreen.pipeline import Pipeline
from evergreen.storage import Storage
from evergreen_airflow import models_app
from evergreen_airflow.links import MODELS_MOUNT, index_path, pipeline_path, reports_path, version_path
from tests.dags.visitors import BROWSER, OnlyBikes, log_in
from tests.servers import unused_port

VERSION = "2011-06-01-0123456789ab"
HOME, PIPELINE = f"{MODELS_MOUNT}/", pipeline_path("bike_demand")
COMPARE = f"{PIPELINE}compare"


@pytest.fixture
def auth(in_charge: Callable[[OnlyBikes], OnlyBikes]) -> OnlyBikes:
    return in_charge(OnlyBikes())


@pytest.fixture
def visitor(auth: OnlyBikes, configured: Storage) -> Iterator[TestClient]:
    """Somebody who has not logged in."""
    models_app._kept.cache_clear()
    outer = FastAPI()
    outer.mount(MODELS_MOUNT, models_app.make_app())
    with TestClient(outer, follow_redirects=False) as client:
        yield client
    models_app._kept.cache_clear()


@pytest.fixture
def reader(visitor: TestClient, auth: OnlyBikes) -> TestClient:
    """Somebody who may see bike_demand, by the cookie of the UI."""
    return log_in(visitor, auth, "ann", "VIEWER")


@pytest.fixture
def promoted(configured: Storage) -> Pipeline:
    """A version in force, with a card."""
    pipeline = Pipeline.open("bike_demand")
    card = b"<html><head></head><body><main><h1>the card</h1></main></body></html>"
    pipeline.registry.commit(VERSION, {"card.html": card, "metrics.json": b'{"mae": 31.5}'})
    pipeline.registry.promote(VERSION, "2011-06-01", {"why": "it is good"})
    return pipeline


def test_the_pages_lead_from_all_pipelines_to_a_version(reader: TestClient, promoted: Pipeline):
    home = reader.get(HOME)
    assert (home.status_code, "iris" in home.text) == (200, False)
    assert f'href="bike_demand/models/{VERSION}.html"' in home.text
    page = reader.get(PIPELINE)
    assert f'href="models/{VERSION}.html"' in page.text
    assert "31.5" in page.text
    version = reader.get(version_path("bike_demand", VERSION)).text
    assert version.index(f"{VERSION} is the champion") < version.index("the card")
    for answer in (home, page):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'sha256-" in policy


def test_of_a_pipeline_whose_ingest_airflow_holds_no_next_night_is_shown(
    reader: TestClient, promoted: Pipeline
):
    ingest, soon = (
        DagModel(dag_id="bike_demand_ingest", bundle_name="tests"),
        datetime(2031, 1, 1, tzinfo=UTC),
    )
    with create_session() as session:
        session.add(DagBundleModel(name="tests"))
        session.flush()
        session.add(ingest)
    said = []
    for paused, due in ((False, soon), (True, soon), (False, None)):
        with create_session() as session:
            ingest.is_paused, ingest.next_dagrun_create_after = paused, due
            session.merge(ingest)
        page, row = reader.get(PIPELINE).text, reader.get(HOME).text
        held = next((how for how in ("paused", "held back") if f"</a> is {how} in Airflow" in page), "")
        assert ("Next night" in page, f'<td data-name="next night">{held}</td>' in row) == (
            not held,
            bool(held),
        )
        said.append(held)
    with create_session() as session:
        session.delete(session.merge(ingest))
    assert said == ["", "paused", "held back"]


def test_who_may_not_see_the_dag_sees_nothing_of_its_models(reader: TestClient, promoted: Pipeline):
    for path in (
        pipeline_path("iris"),
        f"{pipeline_path('iris')}compare",
        version_path("iris", VERSION),
        f"{MODELS_MOUNT}/iris",
    ):
        assert reader.get(path).status_code == 403


def test_a_version_s_page_says_what_it_is_now_and_what_took_its_place(reader: TestClient, promoted: Pipeline):
    later = "2011-07-01-0123456789ab"

    def said(version: str) -> list[str]:
        """What the page says it is, and whether it leads to the version that took its place."""
        html = reader.get(version_path("bike_demand", version)).text
        other = re.search(r"<dt>Replaced by</dt><dd><a href=\"([^\"]+)\.html\"", html)
        (now,) = re.findall(r'<p class="says">\S+ ([^<]+)</p>', html)
        return [now, *(other.groups() if other else ())]

    promoted.registry.commit(later, {"metrics.json": b'{"mae": 30.5}'})
    promoted.registry.promote(later, "2011-07-01", {})
    assert said(VERSION) == ["is in force for older partitions", later]
    assert said(later) == ["is the champion"]
    promoted.registry.rollback(reason={"why": "it overshoots"})
    assert said(VERSION) == ["is the champion"]
    assert said(later) == ["was rolled back", VERSION]


def test_two_versions_stand_side_by_side_and_are_named_by_how_they_begin(
    reader: TestClient, promoted: Pipeline
):
    later = "2011-07-01-0123456789ab"
    promoted.registry.commit(later, {"metrics.json": b'{"mae": 30.5}'})
    html = reader.get(f"{COMPARE}?first=2011-06&second={later}").text
    assert html.index(f"{VERSION}</code></a> is the champion") < html.index(f"{later}</code></a> was neither")
    assert '<td class="n better" data-name="change">-1 ' in html
    asked = reader.get(f"{COMPARE}?first={later}&second={VERSION}&predict=yes")
    assert asked.status_code == 200
    assert "not known" in asked.text  # neither has a model
    for query in ("", f"?first={VERSION}", f"?first={VERSION}&second=2012", "?first=2011&second=2011"):
        missing = reader.get(COMPARE + query)
        assert (missing.status_code, "There is no such page" in missing.text) == (404, True)


PAGES = [PIPELINE, version_path("bike_demand", VERSION), f"{COMPARE}?first={VERSION}&second={VERSION}"]


@pytest.mark.parametrize("path", [HOME, *PAGES])
def test_who_has_not_logged_in_is_led_to_do_so_or_refused(visitor: TestClient, path: str):
    led = visitor.get(path, headers=BROWSER)
    assert (led.status_code, led.headers["location"]) == (
        307,
        f"/api/v2/auth/login?next={quote(path, safe='')}",
    )
    assert visitor.get(path).status_code == 401


def test_the_tab_of_a_dag_and_links_of_a_card_lead_on(reader: TestClient):
    for path, to in (
        (f"{MODELS_MOUNT}/of-dag/bike_demand_train", PIPELINE),
        (f"{PIPELINE}index.html?partition=2011-06-01", f"{index_path('bike_demand')}?partition=2011-06-01"),
        (f"{PIPELINE}reports/", reports_path("bike_demand")),
    ):
        assert reader.get(path).headers["location"] == to
    assert reader.get(f"{MODELS_MOUNT}/of-dag/somebody_elses").status_code == 404


def test_what_is_not_there_is_said_in_plain_words(reader: TestClient):
    assert "No night was monitored yet" in reader.get(PIPELINE).text
    for version in (VERSION, "..%2f..%2fchampion"):
        assert reader.get(version_path("bike_demand", VERSION).replace(VERSION, version)).status_code == 404


@pytest.mark.parametrize("path", PAGES)
def test_a_store_that_fails_is_told_in_one_line(
    reader: TestClient, monkeypatch: pytest.MonkeyPatch, path: str
):
    monkeypatch.setenv("EVERGREEN_STORAGE", "s3://there-is-no-such-bucket")
    answer = reader.get(path)
    assert answer.status_code == 503
    assert "bucket &#39;there-is-no-such-bucket&#39; does not exist: create it" in answer.text
    home = reader.get(HOME)
    assert (home.status_code, "there-is-no-such-bucket" in home.text) == (200, True)


def test_a_store_that_is_down_is_told_with_a_remedy_on_every_page(
    reader: TestClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{unused_port()}")
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between the tries of the client
    for path in PAGES:
        answer = reader.get(path)
        assert (answer.status_code, "Traceback" in answer.text) == (503, False)
        assert "check" in answer.text
    home = reader.get(HOME)
    assert (home.status_code, "check" in home.text) == (200, True)
