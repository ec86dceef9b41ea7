"""A whole stack on free ports, in a temporary folder, running a pipeline that learns within a week."""

from __future__ import annotations

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
from tests.otlp_receiver import Receiver

REPOSITORY = Path(__file__).resolve().parents[2]
BIKE_FILE = REPOSITORY.parent / "shared" / "data" / "bike_sharing" / "hour.csv"

# In the shape of a pipeline's: one a day of data, and one that follows it.
TWO_DAGS = """
from datetime import UTC, datetime
from airflow.sdk import DAG, Asset, PartitionedAssetTimetable, task
from evergreen.calendar import Calendar, Grain, Schedule, Ticks
from evergreen_airflow.timetable import PartitionTimetable

days = Asset(name="days", uri="test://days")
nights = PartitionTimetable(Ticks(Calendar(Grain.DAILY), (Schedule("0 2 * * *", "UTC"),)))
start = datetime(2011, 1, 1, tzinfo=UTC)

with DAG("first", schedule=nights, start_date=start, catchup=False):

    @task(outlets=[days])
    def import_heavily():
        import sys
        print("WARM" if "great_expectations" in sys.modules and "sklearn" in sys.modules else "COLD")

    import_heavily()

with DAG("second", schedule=PartitionedAssetTimetable(assets=days), start_date=start, catchup=False):

    @task
    def follow():
        pass

    follow()
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests below this folder are end-to-end tests, and share one stack that takes a while to start.

    Those of the stack itself come last: they kill and stop it.
    """
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(900))
    items.sort(key=lambda item: item.path == Path(__file__).parent / "test_stack.py")


@pytest.fixture(scope="session")
def bike_file() -> Path | None:
    """The real bike file; None where it is absent, and the simulator stands in for it."""
    if BIKE_FILE.exists():
        return BIKE_FILE
    print(f"\n{BIKE_FILE.name} is not beside the repository: the end-to-end test runs on simulated data")
    return None


@pytest.fixture(scope="session")
def otlp() -> Iterator[Receiver]:
    """Takes the metrics of the stack's Airflow."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, otlp: Receiver) -> Iterator[Stack]:
    """A running stack, which is stopped at the end."""
    folder = tmp_path_factory.mktemp("e2e")
    home = Home(folder / "home")
    _pipelines(folder / "pipelines")
    _dags(folder / "dags")
    try:
        with pytest.MonkeyPatch.context() as variables:
            for name, value in _choices(home, otlp).items():
                variables.setenv(name, value)
            running = up(home)
        yield running
    finally:
        down(home)


@pytest.fixture(scope="module", autouse=True)
def _environment(stack: Stack, otlp: Receiver) -> Iterator[None]:
    """The stack's variables, for the tests of a file here and for no others."""
    with pytest.MonkeyPatch.context() as variables:
        for name, value in {**_choices(stack.home, otlp), **environment.read(stack.home)}.items():
            variables.setenv(name, value)
        yield


def _choices(home: Home, otlp: Receiver) -> dict[str, str]:
    """What is set when the stack is started."""
    folder = home.root.parent
    return {
        "EVERGREEN_PIPELINES": str(folder / "pipelines"),
        "EVERGREEN_DAGS": str(folder / "dags"),
        "EVERGREEN_PORTS": "free",
        # To read all DAG files every half minute would take a fifth of two cores: `read_again` asks for it.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
        "AIRFLOW__METRICS__OTEL_ON": "True",
        "OTEL_EXPORTER_OTLP_ENDPOINT": otlp.address,
    }


@pytest.fixture(scope="session")
def airflow(stack: Stack) -> AirflowApi:
    """A session with the stack's Airflow."""
    return AirflowApi.of(stack)


def _dags(folder: Path) -> None:
    """The repository's DAG files, one with two small DAGs, and those that workers are lost with."""
    shutil.copytree(REPOSITORY / "dags", folder)
    shutil.copy(REPOSITORY / "tests" / "workers" / "long_tasks.py", folder)
    (folder / "two_dags.py").write_text(TWO_DAGS)


def _pipelines(folder: Path) -> None:
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
