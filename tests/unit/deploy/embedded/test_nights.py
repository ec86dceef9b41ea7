from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from deploy.demo_data.sources import Loaded
from deploy.embedded.config.airflow_local_settings import dag_policy
from deploy.embedded.home import Home
from deploy.embedded.nights import are_next, nights


class Dag:
    """What the policy reads and sets of a DAG."""

    def __init__(self, dag_id: str) -> None:
        self.dag_id, self.timetable = dag_id, self
        self.is_held = False

    def held_back(self) -> Dag:
        self.is_held = True
        return self


def is_held(dag_id: str) -> bool:
    dag = Dag(dag_id)
    dag_policy(dag)
    return dag.is_held


def test_only_the_demo_is_held_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path)
    home.create()
    monkeypatch.setenv("EVERGREEN_NIGHTS_HELD", str(nights(home).path))
    assert not is_held("bike_demand_ingest")
    nights(home).hold()
    assert nights(home).held
    assert (is_held("bike_demand_ingest"), is_held("rides_ingest")) == (True, False)
    nights(home).go_on()
    assert not is_held("bike_demand_ingest")


@pytest.mark.parametrize(
    ("newest", "kind", "found"),
    [
        (None, "simulated", False),
        (date(2011, 5, 17), "simulated", False),
        (date(2024, 2, 27), "simulated", False),
        (date(2024, 2, 28), "simulated", True),
        (date(2024, 2, 29), "simulated", True),
        (date(2024, 2, 29), "file", False),
    ],
)
def test_nights_follow_a_history_without_a_gap(newest: date | None, kind: str, found: bool) -> None:
    assert are_next(newest, Loaded(kind, date(2011, 1, 1), date(2024, 2, 29))) is found
