from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from deploy.demo_data.sources import Loaded
from deploy.embedded.config.airflow_local_settings import dag_policy
from deploy.embedded.home import Home
from deploy.embedded.nights import are_next, nights

START = datetime(2011, 1, 1, tzinfo=UTC)


class Dag:
    """What the policy reads and sets of a DAG."""

    def __init__(self, dag_id: str) -> None:
        self.dag_id, self.start_date, self.end_date = dag_id, START, None


def end_of(dag_id: str) -> datetime | None:
    dag = Dag(dag_id)
    dag_policy(dag)
    return dag.end_date


def test_only_the_demo_is_held_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path)
    home.create()
    monkeypatch.setenv("EVERGREEN_NIGHTS_HELD", str(nights(home).path))
    assert end_of("bike_demand_ingest") is None
    nights(home).hold()
    assert nights(home).held
    assert (end_of("bike_demand_ingest"), end_of("rides_ingest")) == (START, None)
    nights(home).go_on()
    assert end_of("bike_demand_ingest") is None


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
