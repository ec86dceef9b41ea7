"""The site of Data Docs: who may read what, from where, and under which policy. With a real store."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from fastapi import FastAPI
from fastapi.testclient import TestClient

from evergreen.data_docs.store import write_data_docs
from evergreen.pipeline import Pipeline
from evergreen.reports.store import write_report
from evergreen.storage import Storage
from evergreen.validation.report import ValidationReport
from evergreen_airflow import data_docs_app
from evergreen_airflow.links import MOUNT, card_path
from tests.dags.visitors import BROWSER, OnlyBikes, log_in

RUN = "0123456789abcdef"
SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
BACK = re.compile(rb'<nav aria-label="back to Airflow">.*?</nav>\n')
INDEX, PAGE = f"{MOUNT}/bike_demand/index.html", f"{MOUNT}/bike_demand/2011-06-01/{RUN}.html"


@pytest.fixture
def auth(in_charge: Callable[[OnlyBikes], OnlyBikes]) -> OnlyBikes:
    return in_charge(OnlyBikes())


@pytest.fixture
def visitor(auth: OnlyBikes, configured: Storage) -> Iterator[TestClient]:
    """Somebody who has not logged in."""
    data_docs_app._storage.cache_clear()
    outer = FastAPI()
    outer.mount(MOUNT, data_docs_app.make_app())
    with TestClient(outer, follow_redirects=False) as client:
        yield client
    data_docs_app._storage.cache_clear()


@pytest.fixture
def reader(visitor: TestClient, auth: OnlyBikes) -> TestClient:
    """Somebody who may see bike_demand, by the cookie of the UI."""
    return log_in(visitor, auth, "ann", "VIEWER")


@pytest.fixture
def written(configured: Storage) -> Pipeline:
    """Two days of bike_demand in the store, one of them validated twice."""
    pipeline = Pipeline.open("bike_demand")
    for run, day, partition in ((RUN, 2, "2011-06-01"), ("aa", 1, "2011-06-01"), (RUN, 3, "2011-06-02")):
        report = ValidationReport(partition, 24, 0, ())
        write_data_docs(pipeline, run, datetime(2011, 6, day, tzinfo=UTC), [report])
    return pipeline


def test_pages_are_served_as_stored_with_script_and_way_back(reader: TestClient, written: Pipeline):
    for path, key in ((PAGE, f"2011-06-01/{RUN}.html"), (INDEX, "index.html")):
        answer = reader.get(path)
        assert answer.status_code == 200
        stored = written.storage.read(f"bike_demand/data_docs/{key}").body
        assert BACK.sub(b"", SCRIPT.sub(b"", answer.content)) == stored
        assert answer.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("query", "ways"),
    [
        ("", {"bike_demand_ingest": "/dags/bike_demand_ingest"}),
        ("?dag=bike_demand_train", {"bike_demand_ingest": "/dags/bike_demand_ingest"}),
        ("?dag=iris_ingest&dag_run=a", {"bike_demand_ingest": "/dags/bike_demand_ingest"}),
        (
            "?dag=bike_demand_train&dag_run=manual__2011%2B00",
            {
                "bike_demand_train": "/dags/bike_demand_train",
                "manual__2011+00": "/dags/bike_demand_train/runs/manual__2011%2B00",
            },
        ),
        (
            "?dag=bike_demand_train&dag_run=%22><b>/..",
            {
                "bike_demand_train": "/dags/bike_demand_train",
                "&quot;&gt;&lt;b&gt;/..": "/dags/bike_demand_train/runs/%22%3E%3Cb%3E%2F..",
            },
        ),
    ],
)
def test_a_page_leads_back_to_the_run_or_the_dag(
    reader: TestClient, written: Pipeline, query: str, ways: dict[str, str]
):
    for path in (PAGE, INDEX):
        (nav,) = BACK.findall(reader.get(path + query).content)
        found = re.findall(r'<a href="([^"]*)" target="_top">([^<]*)</a>', nav.decode())
        assert {words: to for to, words in found} == ways


@pytest.mark.parametrize(
    "path", [PAGE, INDEX, f"{MOUNT}/", f"{MOUNT}/iris/index.html", f"{MOUNT}/bike_demand/x"]
)
def test_no_answer_lets_a_browser_run_or_load_anything_else(reader: TestClient, written: Pipeline, path: str):
    answer = reader.get(path)
    headers = answer.headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    (script,) = SCRIPT.findall(answer.content)
    assert policy["script-src"] == f"'sha256-{b64encode(sha256(script).digest()).decode()}'"
    assert policy["frame-ancestors"] == "'self'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "private, no-store"


@pytest.mark.parametrize("path", [PAGE, INDEX, f"{MOUNT}/", f"{MOUNT}/bike_demand", f"{MOUNT}/no/such/place"])
def test_who_has_not_logged_in_is_led_to_do_so_or_refused(visitor: TestClient, written: Pipeline, path: str):
    browser, program = visitor.get(path, headers=BROWSER), visitor.get(path)
    assert browser.status_code == 307
    assert browser.headers["location"] == f"/api/v2/auth/login?next={path.replace('/', '%2F')}"
    assert program.status_code == 401
    for answer in (browser, program):
        assert "2011-06-01" not in answer.text


def test_a_forged_token_opens_nothing(visitor: TestClient, written: Pipeline):
    visitor.cookies.set("_token", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsInJvbGUiOiJBRE1JTiJ9.")
    assert visitor.get(PAGE).status_code in (401, 403)


def test_who_may_not_see_the_dag_sees_neither_page_nor_name(reader: TestClient, written: Pipeline):
    write_data_docs(
        Pipeline.open("iris"), RUN, datetime(2011, 6, 1, tzinfo=UTC), [ValidationReport("snapshot", 9, 0, ())]
    )
    for path in ("index.html", f"snapshot/{RUN}.html", ""):
        answer = reader.get(f"{MOUNT}/iris/{path}")
        assert answer.status_code == 403
        assert "Ask for the right" in answer.text
    home = reader.get(f"{MOUNT}/").text
    assert "bike_demand/index.html" in home
    assert "iris" not in home


def test_an_admin_sees_all(visitor: TestClient, auth: OnlyBikes):
    token = auth.generate_jwt(SimpleAuthManagerUser(username="root", role="ADMIN"))
    home = visitor.get(f"{MOUNT}/", headers={"Authorization": f"Bearer {token}"}).text
    assert all(f"{name}/index.html" in home for name in ("bike_demand", "iris", "wine_segments"))


def test_who_may_read_the_logs_of_the_ingest_is_what_is_asked(
    reader: TestClient, auth: OnlyBikes, written: Pipeline
):
    reader.get(PAGE)
    assert [(method, entity.value) for method, entity in auth.asked] == [("GET", "TASK_LOGS")]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_it_is_only_for_reading(reader: TestClient, written: Pipeline, method: str):
    before = written.storage.list("")
    assert reader.request(method, PAGE).status_code == 405
    assert written.storage.list("") == before


@pytest.mark.parametrize(
    "place",
    [
        "..%2f..%2fchampion.json",
        "2011-06-01/..%2f..%2f..%2fchampion",
        "%2e%2e/champion.html",
        "../../bike_demand/champion.json",
        "2011-06-01/%00.html",
        "2011-06-01/.html",
        ".hidden/aa.html",
        "2011-06-01/aa.html.html",
        "2011-06-01/AA.html",
        "2011-06-01%0d%0aset-cookie:x/aa.html",
    ],
)
def test_no_address_leads_out_of_the_pages(reader: TestClient, written: Pipeline, place: str):
    for key in (
        "champion.json",
        "champion.html",
        "data_docs/.hidden/aa.html",
        "data_docs/2011-06-01/AA.html",
    ):
        written.storage.stage(f"bike_demand/{key}", b"secret")
    answer = reader.get(f"{MOUNT}/bike_demand/{place}")
    assert answer.status_code == 404
    assert "secret" not in answer.text
    assert "set-cookie" not in answer.headers


def test_what_is_not_there_is_said_in_plain_words(reader: TestClient):
    assert "Nothing of bike_demand has been validated yet" in reader.get(INDEX).text
    assert "This run has no page" in reader.get(PAGE).text
    unknown = reader.get(f"{MOUNT}/bike_demand_2/index.html")
    assert (unknown.status_code, "No pipeline has this name" in unknown.text) == (404, True)
    for path in (INDEX, PAGE):
        assert reader.get(path).status_code == 404


def test_a_partition_leads_to_its_newest_page_and_an_unknown_one_to_the_index(
    reader: TestClient, written: Pipeline
):
    found = reader.get(INDEX, params={"partition": "2011-06-01"})
    assert (found.status_code, found.headers["location"]) == (307, PAGE)
    beyond = reader.get(INDEX, params={"partition": "https://example.org/"})
    assert (beyond.status_code, beyond.content) == (200, reader.get(INDEX).content)


def test_a_model_card_is_served_as_it_was_stored_or_not_at_all(reader: TestClient, configured: Storage):
    version = "2011-06-01-0123456789ab"
    pipeline = Pipeline.open("bike_demand")
    pipeline.registry.commit(version, {"card.html": b"<p>a card</p>"})
    path = card_path("bike_demand", version)
    answer = reader.get(path)
    assert (answer.status_code, answer.content) == (200, b"<p>a card</p>")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    for absent in ("2011-06-01-ffffffffffff", "champion", "..%2f..%2fchampion", "%2e%2e", version + ".html"):
        assert reader.get(f"{MOUNT}/bike_demand/models/{absent}.html").status_code == 404
    assert reader.get(card_path("iris", version)).status_code == 403
    pipeline.storage.stage(f"bike_demand/models/{version}/card.html", b"<p>a bard</p>")
    answer = reader.get(path)
    assert (answer.status_code, "a bard" in answer.text) == (503, False)


def test_a_spoilt_index_is_still_shown(reader: TestClient, written: Pipeline):
    written.storage.stage("bike_demand/data_docs/index.html", b"<p>spoilt")
    assert reader.get(INDEX, params={"partition": "2011-06-01"}).text == "<p>spoilt"


def test_the_name_of_a_pipeline_alone_leads_to_its_index(reader: TestClient):
    for path in (f"{MOUNT}/bike_demand", f"{MOUNT}/bike_demand/"):
        assert reader.get(path).headers["location"] == INDEX


def test_a_store_that_fails_is_told_in_one_line(reader: TestClient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EVERGREEN_STORAGE", "s3://there-is-no-such-bucket")
    answer = reader.get(INDEX)
    assert answer.status_code == 503
    assert "bucket &#39;there-is-no-such-bucket&#39; does not exist" in answer.text


def test_reports_are_listed_and_served_and_lead_on_as_they_do_in_a_copy(
    reader: TestClient, written: Pipeline
):
    absent = reader.get(f"{MOUNT}/bike_demand/reports/2011-06-01.html")
    assert absent.status_code == 404
    assert "evergreen report bike_demand" in absent.text
    key = write_report(written.storage, "bike_demand", "2011-06-01", b"a report")
    answer = reader.get(f"{MOUNT}/{key}")
    assert (answer.status_code, answer.content) == (200, b"a report")
    week = write_report(written.storage, "bike_demand", "week-2011-05-30", b"a week")
    assert reader.get(f"{MOUNT}/{week}").content == b"a week"
    listed = reader.get(f"{MOUNT}/bike_demand/reports/").text
    assert listed.index('href="week-2011-05-30.html"') < listed.index('href="2011-06-01.html"')
    assert 'href="bike_demand/reports/"' in reader.get(f"{MOUNT}/").text
    for stored, served in ((f"data_docs/2011-06-01/{RUN}.html", PAGE), ("data_docs/index.html", INDEX)):
        assert reader.get(f"{MOUNT}/bike_demand/{stored}").content == reader.get(served).content
    for path in ("reports/", "reports/2011-06-01.html"):
        assert reader.get(f"{MOUNT}/iris/{path}").status_code == 403
