"""Clusters of the engines, where they are installed: `make test-engines` builds their environment."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from evergreen.compute.spread import Spread
from evergreen.compute.steps import Told
from evergreen.compute.task import Outcome
from tests.engines.clusters import Cluster, DaskCluster, SparkCluster
from tests.unit.backtest.conftest import days, kiosk, sales

__all__ = ["days", "kiosk", "sales"]

ROOT = Path(__file__).parents[2]
CLUSTERS = {"dask": ("distributed", DaskCluster), "spark": ("pyspark", SparkCluster)}


@pytest.fixture(scope="session", params=CLUSTERS)
def cluster(
    request: pytest.FixtureRequest, s3_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """Two workers, with the variables of the storage as workers on other hosts have them."""
    module, kind = CLUSTERS[request.param]
    if not find_spec(module) or (request.param == "spark" and not shutil.which("java")):
        pytest.skip(f"{module} is not installed here: make test-engines")
    variables = {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "PYTHONPATH": f"{ROOT / 'include'}:{ROOT}",
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    started = kind(tmp_path_factory.mktemp(request.param), variables)
    yield started
    started.close()


@pytest.fixture
def on_cluster(configured: object, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The cluster, as `EVERGREEN_COMPUTE` names it."""
    monkeypatch.setenv("EVERGREEN_COMPUTE", cluster.address)
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'include'}:{ROOT}")
    return cluster


@pytest.fixture
def killed(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """While it is empty, a worker is killed with the next item that is done, and told here."""
    over, found = Spread.over, list[str]()

    def killing(self: Spread, items: Any, **options: Any) -> list[Any]:
        call = self._engine.call

        def called(item: Any, seconds: float, told: Told) -> Outcome:
            outcome = call(item, seconds, told)
            if not found and os.environ["EVERGREEN_COMPUTE"] == cluster.address:
                found.append(str(item))
                cluster.kill_one()
            return outcome

        self._engine.call = called  # type: ignore[method-assign]
        try:
            return over(self, items, **options)
        finally:
            self._engine.call = call  # type: ignore[method-assign]

    monkeypatch.setattr(Spread, "over", killing)
    return found
