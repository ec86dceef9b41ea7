"""A whole stack on free ports, in a temporary folder, running a pipeline that learns within a week."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from deploy.embedded import environment
from deploy.embedded.airflow import ADMIN
from deploy.embedded.airflow_api import AirflowApi
from deploy.embedded.home import Home
from deploy.embedded.stack import Stack, down, up
from evergreen.description import read_mapping

REPOSITORY = Path(__file__).resolve().parents[2]
BIKE_FILE = REPOSITORY.parent / "shared" / "data" / "bike_sharing" / "hour.csv"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests below this folder are end-to-end tests, and share one stack that takes a while to start."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def bike_file() -> Path | None:
    """The real bike file; None where it is absent, and the simulator stands in for it."""
    if BIKE_FILE.exists():
        return BIKE_FILE
    print(f"\n{BIKE_FILE.name} is not beside the repository: the end-to-end test runs on simulated data")
    return None


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running stack; its variables are set for the tests, and it is stopped at the end."""
    folder = tmp_path_factory.mktemp("e2e")
    before = dict(os.environ)
    os.environ["EVERGREEN_PIPELINES"] = str(_pipelines(folder / "pipelines"))
    os.environ["EVERGREEN_PORTS"] = "free"
    home = Home(folder / "home")
    try:
        running = up(home)
        os.environ.update(environment.read(home))
        yield running
    finally:
        down(home)
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="session")
def airflow(stack: Stack) -> AirflowApi:
    """A session with the stack's Airflow."""
    return AirflowApi(stack)


def _pipelines(folder: Path) -> Path:
    """The repository's pipelines; `bike_demand` learns from five days and retrains at the first excuse.

    `iris` asks a person before it promotes.
    """
    shutil.copytree(REPOSITORY / "include" / "pipelines", folder)
    file = folder / "bike_demand" / "pipeline.yaml"
    description = read_mapping(file)
    description["training"] |= {"minimum": "5 partitions", "holdout": "1 days"}
    description["gate"] = {"limits": {"mae": {"max": 1000}}, "champion": {"margin": "1000%"}}
    description["monitoring"] = {
        "performance": {"tolerance": "0%", "over": "1 partitions"},
        "retrain": {"on": ["performance"], "cooldown": "1 partitions", "budget": "30 per 30 partitions"},
    }
    file.write_text(yaml.safe_dump(description, sort_keys=False))
    file = folder / "iris" / "pipeline.yaml"
    description = read_mapping(file)
    description["gate"]["approval"] = {"when": "always", "within": "1 hours", "by": [ADMIN]}
    file.write_text(yaml.safe_dump(description, sort_keys=False))
    return folder
