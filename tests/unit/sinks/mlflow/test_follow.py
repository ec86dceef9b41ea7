"""What MLflow is told of a history, by real requests to a small server that refuses what MLflow refuses."""

from __future__ import annotations

import json
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from evergreen.cli import app
from evergreen.errors import NothingToDoError, SourceError, UnavailableError
from evergreen.pipeline import Pipeline
from evergreen.registry.ids import as_of_version
from evergreen.sinks.mlflow.follow import tell_mlflow, tell_mlflow_or_warn
from evergreen.storage import Storage
from tests.http_peers import Peer, Said, serving
from tests.mlflow_peer import SmallMlflow
from tests.mlflow_versions import FIRST, SECOND, THIRD, TOKEN, VERSIONS, make_history, sales
from tests.servers import unused_port


@pytest.fixture
def mlflow() -> SmallMlflow:
    return SmallMlflow(authorization=f"Bearer {TOKEN}")


@pytest.fixture
def peer(mlflow: SmallMlflow) -> Iterator[Peer]:
    with serving(mlflow) as peer:
        yield peer


@pytest.fixture
def pipeline(tmp_path: Path, storage: Storage, peer: Peer) -> Pipeline:
    pipeline = sales(tmp_path, storage, peer.address())
    make_history(pipeline)
    return pipeline


def tags(holder: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in holder["tags"]}


def states(mlflow: SmallMlflow) -> dict[str, str]:
    versions = [tags(one) for one in mlflow.models["sales"]["versions"].values()]
    return {one["evergreen.version"]: one["evergreen.state"] for one in versions}


def test_the_whole_history_is_told_oldest_first(pipeline: Pipeline, mlflow: SmallMlflow) -> None:
    told = tell_mlflow(pipeline)
    assert (told.runs, told.registered, told.champion) == (VERSIONS, VERSIONS, FIRST)
    assert mlflow.experiments == {"1": "shops"}
    assert [run["info"]["run_name"] for run in mlflow.runs.values()] == list(VERSIONS)
    assert {run["info"]["status"] for run in mlflow.runs.values()} == {"FINISHED"}
    assert [set(run["artifacts"]) for run in mlflow.runs.values()] == [
        {"card.html", "gate.json", "lineage.json", "metrics.json"}
    ] * 3
    assert states(mlflow) == {FIRST: "champion", SECOND: "refused", THIRD: "committed"}
    assert mlflow.models["sales"]["aliases"] == {"champion": "1"}
    source = mlflow.models["sales"]["versions"]["3"]["source"]
    assert source == pipeline.storage.uri(f"sales/models/{THIRD}")


def test_the_same_again_changes_nothing(pipeline: Pipeline, mlflow: SmallMlflow, peer: Peer) -> None:
    tell_mlflow(pipeline)
    written, asked = mlflow.written, len(peer.asked)
    again = tell_mlflow(pipeline)
    assert (again.runs, again.registered, again.states, again.champion) == ((), (), (), FIRST)
    assert mlflow.written == written
    assert len(peer.asked) - asked == 1 + 2 + 1 + 2  # experiment, runs and versions by two pages each, model


def test_states_and_alias_follow_the_history(pipeline: Pipeline, mlflow: SmallMlflow) -> None:
    tell_mlflow(pipeline)
    pipeline.registry.promote(THIRD, as_of_version(THIRD), {})
    assert tell_mlflow(pipeline).states == (FIRST, THIRD)
    assert (states(mlflow)[FIRST], states(mlflow)[THIRD]) == ("promoted", "champion")
    assert mlflow.models["sales"]["aliases"] == {"champion": "3"}
    pipeline.registry.rollback()
    tell_mlflow(pipeline)
    assert (states(mlflow)[FIRST], states(mlflow)[THIRD]) == ("champion", "withdrawn")
    assert mlflow.models["sales"]["aliases"] == {"champion": "1"}


def test_an_alias_without_a_champion_is_removed(pipeline: Pipeline, mlflow: SmallMlflow) -> None:
    tell_mlflow(pipeline)
    other = Pipeline(pipeline.spec, pipeline.storage.child("other"), pipeline.connect)
    assert tell_mlflow(other).champion is None
    assert mlflow.models["sales"]["aliases"] == {}


def test_what_was_interrupted_anywhere_is_completed_once(pipeline: Pipeline, peer: Peer) -> None:
    for last in (5, 6, 8, 10, 13):
        mlflow, before = SmallMlflow(authorization=f"Bearer {TOKEN}"), len(peer.asked)
        peer.behave = lambda asked, mlflow=mlflow, last=last + before: (
            mlflow(asked) if len(peer.asked) <= last else Said(503)
        )
        with pytest.raises(UnavailableError, match=r"sales: MLflow \(mlflow_server\) answered 503"):
            tell_mlflow(pipeline)
        peer.behave = mlflow
        tell_mlflow(pipeline)
        assert [run["info"]["run_name"] for run in mlflow.runs.values()] == list(VERSIONS), last
        assert {len(run["data"]["metrics"]) for run in mlflow.runs.values()} == {4}, last
        assert {run["info"]["status"] for run in mlflow.runs.values()} == {"FINISHED"}, last
        assert states(mlflow) == {FIRST: "champion", SECOND: "refused", THIRD: "committed"}, last
        assert mlflow.models["sales"]["aliases"] == {"champion": "1"}, last


def test_a_run_that_was_deleted_there_stays_deleted(pipeline: Pipeline, mlflow: SmallMlflow) -> None:
    tell_mlflow(pipeline)
    [first, *_] = mlflow.runs.values()
    first["info"].update(lifecycle_stage="deleted", status="RUNNING")
    assert tell_mlflow(pipeline).runs == ()
    assert len(mlflow.runs) == 3


def test_a_model_of_somebody_else_is_left_alone(pipeline: Pipeline, mlflow: SmallMlflow) -> None:
    mlflow.create_model("sales", [])
    with pytest.raises(SourceError, match="the registered model 'sales' there is not this pipeline's"):
        tell_mlflow(pipeline)
    assert mlflow.models["sales"]["versions"] == {}


def test_a_damaged_version_does_not_stop_the_others(pipeline: Pipeline, mlflow: SmallMlflow) -> None:
    stored = pipeline.storage.child("sales")
    stored.stage(f"models/{SECOND}/gate.json", b"{}")
    told = tell_mlflow(Pipeline(pipeline.spec, pipeline.storage, pipeline.connect))
    assert told.registered == (FIRST, THIRD)
    [problem] = told.problems
    assert SECOND in problem
    assert "gate.json" in problem


def test_a_wrong_token_is_told_without_it(pipeline: Pipeline, mlflow: SmallMlflow) -> None:
    mlflow.authorization = "Bearer another"
    with pytest.raises(SourceError, match=r"answered 401: .*: check login, password or token") as refused:
        tell_mlflow(pipeline)
    assert TOKEN not in str(refused.value)


def test_an_answer_that_repeats_the_token_is_told_without_it(pipeline: Pipeline, peer: Peer) -> None:
    peer.behave = lambda asked: Said(400, json.dumps({"message": asked.headers["authorization"]}).encode())
    with pytest.raises(SourceError, match=r"Bearer \*\*\*") as refused:
        tell_mlflow(pipeline)
    assert TOKEN not in str(refused.value)


@pytest.mark.parametrize("body", [b"<html>welcome</html>", b"[]", b"{}", b'{"experiment": 1}'])
def test_what_is_no_mlflow_is_told_in_a_line(pipeline: Pipeline, peer: Peer, body: bytes) -> None:
    peer.behave = lambda _: Said(200, body)
    with pytest.raises(SourceError, match="leads to"):
        tell_mlflow(pipeline)


@contextmanager
def listening(answer: bytes) -> Iterator[str]:
    """The address of a server that says the head of an answer, and then a byte of it now and then."""

    def drip() -> None:
        with suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                connection.sendall(answer)
                while answer:
                    connection.sendall(b" ")
                    time.sleep(0.02)
                connection.recv(2**20)
                connection.recv(2**20)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=drip, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def failing(_: bytes) -> Iterator[str]:
    with serving(lambda _: Said(500)) as peer:
        yield peer.address()


@contextmanager
def away(_: bytes) -> Iterator[str]:
    yield f"http://127.0.0.1:{unused_port()}"


DRIPS = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"


@pytest.mark.parametrize(
    ("trouble", "answer", "told"),
    [
        (away, b"", r"failed \(ConnectError\): check that it runs and can be reached"),
        (failing, b"", "answered 500: no reason"),
        (listening, b"", "is too slow: try again later"),
        (listening, DRIPS, "is too slow: try again later"),
    ],
    ids=["away", "failing", "silent", "dripping"],
)
def test_an_mlflow_in_trouble_makes_one_line_and_no_failure(
    trouble: Callable[[bytes], AbstractContextManager[str]],
    answer: bytes,
    told: str,
    tmp_path: Path,
    storage: Storage,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Far less than the client's own time-outs, by which silence would end otherwise.
    monkeypatch.setattr("evergreen.sinks.mlflow.follow._AFTER_A_STAGE", 0.5)
    with trouble(answer) as address, caplog.at_level(logging.WARNING):
        tell_mlflow_or_warn(sales(tmp_path, storage, address))
    [line] = [record.getMessage() for record in caplog.records]
    assert re.fullmatch(
        "MLflow is told of it by the next training, or by evergreen mlflow sync sales: "
        rf"sales: MLflow \(mlflow_server\) {told}",
        line,
    )


def test_a_description_without_mlflow_tells_nobody(
    pipeline: Pipeline, mlflow: SmallMlflow, caplog: pytest.LogCaptureFixture
) -> None:
    without = pipeline.described_by(pipeline.spec.model_copy(update={"mlflow": None}))
    tell_mlflow_or_warn(without)
    assert (mlflow.written, caplog.records) == (0, [])
    with pytest.raises(NothingToDoError, match=r"sales: no MLflow is described: name one in mlflow\.conn_id"):
        tell_mlflow(without)


def test_the_command_tells_the_history(
    pipeline: Pipeline, configured: Storage, peer: Peer, mlflow: SmallMlflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(pipeline.spec.folder.parent))
    connection = {"conn_type": "http", "host": peer.address(), "password": TOKEN}
    monkeypatch.setenv("AIRFLOW_CONN_MLFLOW_SERVER", json.dumps(connection))
    pipeline.registry.promote(THIRD, as_of_version(THIRD), {})
    result = CliRunner().invoke(app, ["mlflow", "sync", "sales", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["told"]["registered"] == list(VERSIONS)
    assert mlflow.models["sales"]["aliases"] == {"champion": "3"}
    assert CliRunner().invoke(app, ["models", "rollback", "sales"]).exit_code == 0
    assert mlflow.models["sales"]["aliases"] == {"champion": "1"}
    again = CliRunner().invoke(app, ["mlflow", "sync", "sales"])
    assert again.stdout == (f"sales: 0 runs and 0 versions told, 0 states changed; the champion is {FIRST}\n")
