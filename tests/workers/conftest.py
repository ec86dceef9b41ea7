"""A stack on two Celery workers and one for trainings, and a pipeline that trains only when it is told to."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from deploy.embedded import environment
from deploy.embedded.airflow_api import AirflowApi
from deploy.embedded.executor import Executor
from deploy.embedded.home import REPOSITORY, Home
from deploy.embedded.load import load
from deploy.embedded.stack import Stack, down, up
from evergreen.description import read_mapping
from tests.campaign import FULL

HALF = 30
"""How many partitions the first training learns from, and how many nights are scored after them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    why = "starts a stack with three workers, for half an hour: make campaign ONLY=workers"
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(7200))
            item.add_marker(pytest.mark.skipif(not FULL, reason=why))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running stack with its sources filled, and its variables; stopped at the end."""
    folder = tmp_path_factory.mktemp("workers")
    home = Home(folder / "home")
    _pipelines(folder / "pipelines")
    shutil.copytree(REPOSITORY / "dags", folder / "dags")
    shutil.copy(Path(__file__).parent / "long_tasks.py", folder / "dags")
    chosen = {
        "EVERGREEN_PIPELINES": str(folder / "pipelines"),
        "EVERGREEN_DAGS": str(folder / "dags"),
        "EVERGREEN_PORTS": "free",
    }
    with pytest.MonkeyPatch.context() as variables:
        try:
            for name, value in chosen.items():
                variables.setenv(name, value)
            running = up(home, asked=Executor(2))
            for name, value in environment.read(home).items():
                variables.setenv(name, value)
            load(running, None)
            yield running
        finally:
            down(home)


@pytest.fixture(scope="module")
def airflow(stack: Stack) -> AirflowApi:
    """A session with the stack's Airflow."""
    return AirflowApi.of(stack)


def _pipelines(folder: Path) -> None:
    """`bike_demand`, which learns from `HALF` partitions and starts no training by itself."""
    shutil.copytree(REPOSITORY / "include" / "pipelines" / "bike_demand", folder / "bike_demand")
    file = folder / "bike_demand" / "pipeline.yaml"
    description = read_mapping(file)
    description["training"] |= {"minimum": f"{HALF} partitions", "holdout": "3 days"}
    description["gate"] = {"limits": {"mae": {"max": 1000}}, "champion": {"margin": "1000%"}}
    description["monitoring"] = {"retrain": {"on": []}}
    del description["alerts"]
    file.write_text(yaml.safe_dump(description, sort_keys=False))
