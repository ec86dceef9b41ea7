"""Actions by page and API: who may, from where, once, and with what of the records. With a real store."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient

from evergreen.actions.registry import ACTIONS
from evergreen.alerts.alert import Alert
from evergreen.alerts.book import read_book
from evergreen.alerts.delivery import notify
from evergreen.ingestion.release import Released
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.storage import Storage
from evergreen_airflow import actions_app
from evergreen_airflow.links import ACTIONS_MOUNT
from tests.dags.visitors import log_in

A, B, C = "2011-04-01-aaaa", "2011-05-01-bbbb", "2011-06-01-cccc"
P = "bike_demand"
WANTED: dict[str, dict[str, str]] = {
    "promote": {"version": C},
    "rollback": {},
    "retrain": {},
    "release": {"partition": "2011-06-01"},
    "mute": {"alert": "drift", "until": "2011-07-01"},
    "unmute": {"alert": "limit"},
}
WAYS = ("page", "api")
PAGE_OF_OTHERS = {"Sec-Fetch-Site": "cross-site"}


class AsAirflow(SimpleAuthManager):
    """The simple auth manager, which notes what it was asked."""

    asked: list[tuple[str, str | None, str]]

    def is_authorized_dag(self, *, method, user, access_entity=None, details=None):
        self.asked.append((method, access_entity and access_entity.value, details.id))
        return super().is_authorized_dag(
            method=method, user=user, access_entity=access_entity, details=details
        )


@pytest.fixture
def auth(in_charge: Callable[[AsAirflow], AsAirflow]) -> AsAirflow:
    return in_charge(AsAirflow())


@pytest.fixture
def pipeline(configured: Storage, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """Two versions that were promoted and one that was not; rows in quarantine; two alerts, one muted."""
    opened = Pipeline.open(P)
    for version in (A, B, C):
        opened.registry.commit(version, {"metrics.json": b"{}"})
    for version in (A, B):
        opened.registry.promote(version, version[:10], {})
    opened.lake.replace(Table.PARTITIONS, {"2011-06-01": pa.table({"cnt": [1]})})
    bad = {name: ["x"] for name in ("row", "expectation", "reason", "place")}
    opened.lake.replace(Table.QUARANTINE, {"2011-06-01": pa.table(bad)})
    found = [Alert(key, "warning", f"{key} <is> there", "see", P, "2011-06-01") for key in ("drift", "limit")]
    notify(opened, found, "2011-06-01")
    from evergreen.alerts.muting import mute

    mute(opened, "limit", by="ann")
    # These versions hold no model; the golden check and the release have tests of their own.
    monkeypatch.setattr("evergreen.actions.promote.check_afresh", lambda *_: None)
    done = Released("2011-06-01", ("a",), (), 2, 0, True)
    monkeypatch.setattr("evergreen.actions.release.run_clean", lambda *_, **__: done)
    return opened


@pytest.fixture
def started() -> list[tuple[str, dict[str, Any], str | None]]:
    """What Airflow was asked to start, and by whose cookie."""
    return []


@pytest.fixture
def browser(auth: AsAirflow, pipeline: Pipeline, started: list[Any]) -> Iterator[TestClient]:
    """Somebody who has not logged in, at an Airflow that starts runs."""
    airflow = FastAPI()
    airflow.state.secret_key = "of this server"

    @airflow.post("/api/v2/dags/{dag_id}/dagRuns")
    async def start(dag_id: str, request: Request) -> JSONResponse:
        body = await request.json()
        known = body["dag_run_id"] in [one[1]["dag_run_id"] for one in started]
        if not known:
            started.append((dag_id, body, request.cookies.get("_token")))
        return JSONResponse({}, 409 if known else 200)

    airflow.mount(ACTIONS_MOUNT, actions_app.make_app())
    with TestClient(airflow, follow_redirects=False) as client:
        yield client


@pytest.fixture
def user(browser: TestClient, auth: AsAirflow) -> TestClient:
    """Somebody who may run and edit DAGs."""
    return log_in(browser, auth, "eve", "USER")


def place(action: str, way: str = "page") -> str:
    return f"{ACTIONS_MOUNT}/{'api/' if way == 'api' else ''}{P}/{action}"


def token_of(client: TestClient, action: str) -> str:
    return client.get(place(action, "api"), params=WANTED[action]).json()["token"]


def send(client: TestClient, action: str, way: str, token: str, headers: dict[str, str] | None = None) -> Any:
    body = {"token": token, "why": "because <b>"}
    return client.post(
        place(action, way), **{"json" if way == "api" else "data": body}, headers=headers or {}
    )


def records(pipeline: Pipeline) -> tuple[Any, ...]:
    """What actions may change, of the models and the alerts."""
    return pipeline.registry.history(), read_book(pipeline.storage, P)[0].mutes


def test_every_action_is_in_the_table() -> None:
    assert set(WANTED) == set(ACTIONS)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("action", WANTED)
def test_a_viewer_may_neither_see_nor_do_it(
    browser: TestClient, auth: AsAirflow, pipeline: Pipeline, started: list[Any], action: str, way: str
) -> None:
    token = token_of(log_in(browser, auth, "eve", "USER"), action)
    before = records(pipeline)
    log_in(browser, auth, "eve", "VIEWER")
    refused = browser.get(place(action, way), params=WANTED[action])
    for answer in (refused, send(browser, action, way, token)):
        assert answer.status_code == 403
        assert "ask for the right to" in answer.text
    assert (records(pipeline), started) == (before, [])


@pytest.mark.parametrize("action", WANTED)
def test_what_is_asked_of_the_auth_manager(user: TestClient, auth: AsAirflow, action: str) -> None:
    auth.asked.clear()
    user.get(place(action), params=WANTED[action])
    dag = {"release": "ingest", "mute": "monitor", "unmute": "monitor"}.get(action, "train")
    right = ("POST", "RUN") if action == "retrain" else ("PUT", None)
    assert auth.asked == [(*right, f"{P}_{dag}")]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("action", WANTED)
def test_a_forged_request_does_nothing(
    user: TestClient, auth: AsAirflow, pipeline: Pipeline, started: list[Any], action: str, way: str
) -> None:
    token, before = token_of(user, action), records(pipeline)
    other = next(name for name in WANTED if name != action)
    forged = {
        "missing": ("", {}),
        "made up": ("abc.def", {}),
        "changed": (f"x{token[1:]}", {}),
        "of another action": (token_of(user, other), {}),
        "from another site": (token, PAGE_OF_OTHERS),
        "from another origin": (token, {"Origin": "https://evil.example"}),
    }
    for name, (sent, headers) in forged.items():
        assert send(user, action, way, sent, headers).status_code == 403, name
    log_in(user, auth, "bob", "USER")
    assert send(user, action, way, token).status_code == 403
    assert (records(pipeline), started) == (before, [])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("action", WANTED)
def test_it_is_done_once_however_often_it_is_sent(
    user: TestClient, pipeline: Pipeline, started: list[Any], action: str, way: str
) -> None:
    token, before = token_of(user, action), records(pipeline)
    first = send(user, action, way, token, {"Sec-Fetch-Site": "same-origin"})
    assert first.status_code == (303 if way == "page" else 200)
    after, runs = records(pipeline), list(started)
    assert (after != before or runs) or action == "release"
    assert send(user, action, way, token).status_code in (200, 303, 409)
    assert (records(pipeline), started) == (after, runs)
    if way == "page":
        told = user.get(first.headers["location"])
        assert 'role="status"' in told.text
        assert 'role="status"' not in user.get(first.headers["location"].replace("?done=", "?done=x")).text


def test_the_history_names_the_user(user: TestClient, pipeline: Pipeline, started: list[Any]) -> None:
    for action in ("promote", "rollback", "mute"):
        assert send(user, action, "api", token_of(user, action)).status_code == 200
    promoted, rolled_back = records(pipeline)[0][-2:]
    assert (promoted.kind, promoted.version, promoted.replaces, promoted.by) == ("promoted", C, B, "eve")
    assert (rolled_back.kind, rolled_back.version, rolled_back.by) == ("rolled_back", B, "eve")
    assert promoted.reason == {"trigger": "by hand", "why": "because <b>"}
    assert [(mute.key, mute.by) for mute in records(pipeline)[1]] == [("limit", "ann"), ("drift", "eve")]
    assert send(user, "retrain", "page", token_of(user, "retrain")).status_code == 303
    ((dag_id, body, cookie),) = started
    assert (dag_id, body["conf"]["as_of"]) == (f"{P}_train", "2011-06-02")
    assert body["conf"]["reason"]["sentence"] == "asked for by eve: because <b>"
    assert cookie == user.cookies["_token"]


@pytest.mark.parametrize("way", WAYS)
def test_what_has_changed_meanwhile_is_shown_anew_and_not_done(
    user: TestClient, pipeline: Pipeline, way: str
) -> None:
    token = token_of(user, "rollback")
    pipeline.registry.promote(C, C[:10], {}, by="bob")
    before = records(pipeline)
    answer = send(user, "rollback", way, token)
    assert answer.status_code == 409
    assert "meanwhile event 3 came" in answer.text
    assert f"The champion becomes {A}, in place of {C}." in answer.text
    assert records(pipeline) == before
    again = (
        answer.json()["token"] if way == "api" else re.findall('name="token" value="([^"]+)"', answer.text)[0]
    )
    assert send(user, "rollback", way, again).status_code in (200, 303)


@pytest.mark.parametrize("action", WANTED)
def test_a_page_shows_what_will_happen_and_runs_no_other_script(user: TestClient, action: str) -> None:
    answer = user.get(place(action), params=WANTED[action])
    assert (answer.status_code, "What will happen" in answer.text) == (200, True)
    assert 'method="post"' in answer.text
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert (policy["default-src"], policy["form-action"]) == ("'none'", "'self'")
    assert (policy["script-src"][:8], answer.text.count("<script>")) == ("'sha256-", 1)
    assert (policy["frame-ancestors"], "<is>" in answer.text) == ("'self'", False)


def test_a_user_is_offered_what_they_may_do(browser: TestClient, auth: AsAirflow) -> None:
    shown = log_in(browser, auth, "eve", "USER").get(f"{ACTIONS_MOUNT}/{P}/").text
    assert all(f'id="{name}"' in shown for name in WANTED)
    assert f'<option value="{C}">' in shown
    assert log_in(browser, auth, "eve", "VIEWER").get(f"{ACTIONS_MOUNT}/{P}/").status_code == 403


def test_what_is_asked_for_wrongly_is_said_in_a_line(user: TestClient, browser: TestClient) -> None:
    for query, action, code, said in (
        ({}, "promote", 400, "Promote: say version."),
        ({"version": C, "share": "5%"}, "promote", 400, "Promote: say version."),
        ({"version": "2012"}, "promote", 404, "2012"),
        ({"alert": "none"}, "mute", 404, "no alert &#39;none&#39; is open"),
        ({"partition": "soon"}, "release", 400, "soon"),
        ({}, "burn", 404, "The actions are promote, rollback"),
    ):
        answer = user.get(place(action), params=query)
        assert (answer.status_code, said in answer.text) == (code, True), answer.text
    nowhere = user.get(f"{ACTIONS_MOUNT}/nowhere/rollback")
    assert (nowhere.status_code, "No pipeline has this name" in nowhere.text) == (404, True)
    browser.cookies.clear()
    led = browser.get(place("rollback"), headers={"Accept": "text/html"})
    assert (led.status_code, led.headers["location"]) == (
        307,
        f"/api/v2/auth/login?next={place('rollback').replace('/', '%2F')}",
    )
    assert browser.get(place("rollback", "api")).json() == {"error": "Not authenticated"}
