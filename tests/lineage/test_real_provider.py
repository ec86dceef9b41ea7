"""What a receiver of OpenLineage gets of a night, by Airflow's own provider: `make test-lineage`.

The provider is in an environment of its own, so that the other tests show that nothing needs it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest

from evergreen.lake import Table
from evergreen.storage import Storage

pytestmark = pytest.mark.skipif(
    find_spec("openlineage") is None,
    reason="no OpenLineage provider: make test-lineage builds an environment",
)
RUN_ID = "01939c3e-0000-7000-8000-000000000000"


@pytest.fixture
def events() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The address of a receiver of OpenLineage's events over HTTP, and what it got."""
    got: list[dict[str, Any]] = []

    class Takes(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            got.append({"path": self.path, **body})
            self.send_response(201)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Takes) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", got
        server.shutdown()
        thread.join()


def test_a_receiver_gets_datasets_with_their_facets(
    events: tuple[str, list[dict[str, Any]]],
    tmp_path: Path,
    configured: Storage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from airflow.providers.openlineage.extractors.manager import ExtractorManager
    from airflow.providers.openlineage.plugins.adapter import OpenLineageAdapter
    from airflow.utils.state import TaskInstanceState
    from openlineage.client import OpenLineageClient
    from openlineage.client.transport.http import HttpConfig, HttpTransport

    from evergreen_airflow.connections import open_pipeline
    from tests.lineage import night

    address, got = events
    night.describe(tmp_path, monkeypatch)
    operators = night.whole_night()
    adapter = OpenLineageAdapter(OpenLineageClient(transport=HttpTransport(HttpConfig(url=address))))
    for task_id, operator in operators.items():
        found = ExtractorManager().extract_metadata(
            SimpleNamespace(run_id="a run"), operator, TaskInstanceState.SUCCESS, SimpleNamespace()
        )
        times: dict[str, Any] = {"nominal_start_time": None, "nominal_end_time": None}
        told: dict[str, Any] = {"owners": None, "tags": None, "job_description": None}
        adapter.complete_task(RUN_ID, task_id, "2024-02-01T03:00:00Z", found, **times, **told)

    assert {event["path"] for event in got} == {"/api/v1/lineage"}
    by_task = {event["job"]["name"]: event for event in got}
    assert {task: (names(event, "inputs"), names(event, "outputs")) for task, event in by_task.items()} == {
        "extract_sales": ([], ["kiosk/staging/sales"]),
        "validate": (["kiosk/staging/sales"], ["kiosk/staging/rows"]),
        "publish": (["kiosk/staging/rows"], ["kiosk/partitions", "kiosk/quarantine"]),
        "build_training_set": ([], []),
        "train": ([], []),
        "evaluate": ([], []),
        "gate": (["kiosk/partitions"], ["kiosk/models"]),
        "promote": ([], []),
        "score": (["kiosk/partitions", "kiosk/models"], ["kiosk/predictions"]),
        "monitor": (["kiosk/partitions", "kiosk/predictions", "kiosk/models"], ["kiosk/monitoring"]),
        "alert": ([], []),
    }
    for event in by_task.values():
        for data in (*event["inputs"], *event["outputs"]):
            assert data["namespace"] == configured.uri()

    (rows,) = by_task["publish"]["inputs"]
    judged = rows["inputFacets"]["dataQualityAssertions"]["assertions"]
    said = {one["assertion"]: (one["column"], one["success"], one["severity"]) for one in judged}
    assert said["expect_column_values_to_be_between"] == ("price", False, "warn")
    assert said["expect_column_values_to_not_be_null"] == ("sold", True, "error")
    measured = rows["inputFacets"]["dataQualityMetrics"]
    assert measured["rowCount"] == 11
    assert measured["columnMetrics"]["price"]["min"] >= 1
    assert measured["columnMetrics"]["price"]["nullCount"] == 0

    pipeline = open_pipeline("kiosk")
    partitions, quarantine = by_task["publish"]["outputs"]
    assert [each["outputFacets"]["outputStatistics"]["rowCount"] for each in (partitions, quarantine)] == [
        11,
        1,
    ]
    types = {field["name"]: field["type"] for field in partitions["facets"]["schema"]["fields"]}
    assert types["price"] == "double"
    version = str(pipeline.lake.version(Table.PARTITIONS))
    assert partitions["facets"]["version"]["datasetVersion"] == version
    (same,) = partitions["facets"]["symlinks"]["identifiers"]
    assert f"{same['namespace']}/{same['name']}" == configured.uri("kiosk/lake/partitions")

    (model,) = by_task["gate"]["outputs"]
    champion = pipeline.registry.champion(night.NIGHT)
    assert model["facets"]["version"]["datasetVersion"] == champion
    used = next(data for data in by_task["score"]["inputs"] if data["name"] == "kiosk/models")
    assert used["facets"]["version"]["datasetVersion"] == champion
    assert by_task["score"]["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 11


def names(event: dict[str, Any], which: str) -> list[str]:
    return [data["name"] for data in event[which]]
