"""A week of `bike_demand` on the demo's sources, with a worker killed in the middle, seen in the UI."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.embedded.airflow_api import ACTIVE, AirflowApi
from tests.browser.chromium import launched
from tests.containers.engine import run, say
from tests.containers.project import Project
from tests.e2e.waiting import wait_for

DAGS = SCORED, MONITORED, TRAINED, INGESTED = [
    f"bike_demand_{stage}" for stage in ("score", "monitor", "train", "ingest")
]
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def days() -> list[str]:
    """The days of the source, in order, from 98 days ago to the day before yesterday."""
    today = datetime.now(tz=UTC).date()
    return [str(today - number * DAY) for number in range(98, 1, -1)]


@pytest.fixture(scope="module")
def trained(control: Project, airflow: AirflowApi, days: list[str]) -> list[str]:
    """A champion on the first ninety of them; the week that is left.

    Nights are scored from then on: the clock starts one of its own, of which the first champion would be.
    """
    wait_for(lambda: all(airflow.dag(dag_id) for dag_id in DAGS), "Airflow to read the DAG files")
    for dag_id in (TRAINED, INGESTED):
        airflow.unpause(dag_id)
    history = airflow.trigger(INGESTED, conf={"partition": days[0], "to": days[-8]})
    wait_for(lambda: airflow.run(history).ended, "90 days to be ingested", 600)
    assert airflow.run(history).state == "success"
    airflow.trigger(TRAINED, conf={"as_of": days[-7], "reason": "the week is to be scored"})
    wait_for(lambda: airflow.count(TRAINED, ["success"]), "the first champion", 600)
    for dag_id in (SCORED, MONITORED):
        airflow.unpause(dag_id)
    return days[-7:]


def monitored(airflow: AirflowApi) -> set[str | None]:
    """The nights that were scored by the champion, and then monitored."""
    return {one.partition for one in airflow.runs(MONITORED) if one.state == "success"}


def killed(control: Project, airflow: AirflowApi) -> str:
    """The worker that was killed while it had a task."""
    workers = control.containers("worker")
    assert len(workers) == 2

    def busy() -> str | None:
        runs = [one for dag_id in DAGS for one in airflow.runs(dag_id, limit=10) if one.state == "running"]
        tasks = [each for one in runs for each in airflow.task_instances(one)]
        return next(
            (t["hostname"] for t in tasks if t["state"] == "running" and t["hostname"] in workers), None
        )

    wait_for(busy, "a worker to have a task", 120)
    victim = busy() or workers[0]
    run(["docker", "kill", victim])
    return victim


def test_a_week_is_finished_by_another_worker_where_one_is_killed(
    control: Project, airflow: AirflowApi, trained: list[str]
):
    control.up("--scale", "worker=2")
    control.wait_until_healthy(180)
    began = time.monotonic()
    runs = [airflow.trigger(INGESTED, partition=day) for day in trained]
    victim = killed(control, airflow)
    at = time.monotonic()
    wait_for(lambda: all(airflow.run(one).ended for one in runs), "the week to be ingested", 600)
    wait_for(lambda: monitored(airflow) >= set(trained), "all to be monitored", 600)
    wait_for(lambda: not any(airflow.count(dag_id, ACTIVE) for dag_id in DAGS), "all to end", 600)
    now = time.monotonic()
    say(f"the week took {now - began:.0f} s, of them {now - at:.0f} s after the kill")
    states = {one.partition: airflow.run(one).state for one in runs}
    assert set(states.values()) == {"success"}, states
    assert airflow.count(SCORED, ["failed"]) == airflow.count(MONITORED, ["failed"]) == 0
    tasks = [each for dag_id in DAGS for one in airflow.runs(dag_id) for each in airflow.task_instances(one)]
    again = [each for each in tasks if each["try_number"] > 1]
    say(f"{len(again)} tasks of the killed worker {victim} were tried again: {[t['task_id'] for t in again]}")
    assert {each["state"] for each in again} <= {"success", "skipped"}
    verified = control.execute("scheduler", "evergreen", "models", "verify", "bike_demand")
    assert verified.returncode == 0, verified.stderr
    control.up()


def test_the_ui_shows_it_in_a_browser(
    control: Project, airflow: AirflowApi, trained: list[str], pictures: Path
):
    url = f"http://127.0.0.1:{control.settings['AIRFLOW_PORT']}"
    with launched() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.goto(f"{url}/auth/login/")
        page.fill("input[name=username]", control.settings["ADMIN_USERNAME"])
        page.fill("input[name=password]", control.settings["ADMIN_PASSWORD"])
        page.click("input[type=submit], button[type=submit]")
        page.wait_for_url(lambda address: "login" not in address)
        for name, path, text in (
            ("dags", "/dags", "bike_demand_ingest"),
            ("week", "/dags/bike_demand_ingest", "ingest"),
        ):
            page.goto(f"{url}{path}")
            page.wait_for_selector(f"text={text}", timeout=60_000)
            page.wait_for_timeout(3000)
            page.screenshot(path=pictures / f"{name}.png")
            say(f"a picture of the UI: {pictures / name}.png")
