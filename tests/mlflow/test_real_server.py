"""What a real MLflow server is told, read back by MLflow's own client: `make test-mlflow`.

Server and client run in an environment of their own, which the other tests do without: building it takes
minutes.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from evergreen.registry.ids import as_of_version
from evergreen.sinks.mlflow.follow import tell_mlflow
from evergreen.storage import Storage
from tests.mlflow_versions import FIRST, SECOND, THIRD, VERSIONS, files, make_history, sales
from tests.servers import unused_port, wait_until_ready

ENVIRONMENT = Path(__file__).parents[2] / ".venv-mlflow"
pytestmark = pytest.mark.skipif(
    not (ENVIRONMENT / ".complete").exists(), reason="no .venv-mlflow: make test-mlflow builds it"
)

READ = """
import json, sys
from mlflow import MlflowClient
client = MlflowClient(sys.argv[1])
experiment = client.get_experiment_by_name("shops")
runs = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
versions = client.search_model_versions("name='sales'")
print(json.dumps({
    "runs": [
        {
            "name": run.info.run_name, "status": run.info.status, "metrics": run.data.metrics,
            "history": len(client.get_metric_history(run.info.run_id, "mae")),
            "params": run.data.params, "note": run.data.tags["mlflow.note.content"],
            "artifacts": sorted(one.path for one in client.list_artifacts(run.info.run_id)),
            "card": open(client.download_artifacts(run.info.run_id, "card.html")).read(),
        }
        for run in runs
    ],
    "states": {one.tags["evergreen.version"]: one.tags["evergreen.state"] for one in versions},
    "sources": sorted(one.source for one in versions),
    "champion": client.get_model_version_by_alias("sales", "champion").tags["evergreen.version"],
}))
"""


@pytest.fixture(scope="module", params=["served", "direct"])
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that serves its artifacts, and one that keeps them where clients would write them."""
    folder, port = tmp_path_factory.mktemp("mlflow"), unused_port()
    where = {
        "served": ["--artifacts-destination", str(folder / "artifacts")],
        "direct": ["--no-serve-artifacts", "--default-artifact-root", str(folder / "artifacts")],
    }[request.param]
    command = [ENVIRONMENT / "bin" / "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", *where]
    log = folder / "log.txt"
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as server:
        found = f"http://127.0.0.1:{port}"
        wait_until_ready(lambda: httpx.get(f"{found}/health").raise_for_status(), server, log)
        yield found
        server.terminate()


def read(address: str) -> dict[str, Any]:
    answer = subprocess.run(
        [ENVIRONMENT / "bin" / "python", "-c", READ, address], check=True, capture_output=True, text=True
    )
    return dict(json.loads(answer.stdout))


def test_mlflow_shows_the_history_and_follows_it(address: str, tmp_path: Path, storage: Storage) -> None:
    pipeline = sales(tmp_path, storage, address)
    make_history(pipeline)
    assert tell_mlflow(pipeline).registered == VERSIONS
    shown = read(address)
    assert {run["name"] for run in shown["runs"]} == set(VERSIONS)
    for run in shown["runs"]:
        assert (run["status"], run["history"]) == ("FINISHED", 1)
        assert set(run["metrics"]) == {"mae", "recall_50_", "baseline/mae", "champion/mae"}
        assert run["params"]["candidate.params.alpha"] == "1.0"
        assert run["artifacts"] == ["card.html", "gate.json", "lineage.json", "metrics.json"]
        assert run["card"].encode() == files(run["name"], 0)["card.html"]
    assert shown["states"] == {FIRST: "champion", SECOND: "refused", THIRD: "committed"}
    assert shown["champion"] == FIRST
    assert shown["sources"] == [storage.uri(f"sales/models/{version}") for version in VERSIONS]

    again = tell_mlflow(pipeline)
    assert (again.runs, again.registered, again.states) == ((), (), ())
    assert read(address) == shown

    pipeline.registry.promote(THIRD, as_of_version(THIRD), {})
    tell_mlflow(pipeline)
    assert read(address)["champion"] == THIRD
    pipeline.registry.rollback()
    tell_mlflow(pipeline)
    followed = read(address)
    assert followed["states"] == {FIRST: "champion", SECOND: "refused", THIRD: "withdrawn"}
    assert followed["champion"] == FIRST
