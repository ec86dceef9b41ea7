"""Logs of tasks on a real S3 server, found by Airflow the way that it finds them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import structlog
from airflow._shared.logging.factory import resolve_remote_task_log
from airflow._shared.logging.remote import RemoteLogStreamIO
from airflow._shared.module_loading import import_string
from airflow.configuration import conf
from airflow.sdk.log import init_log_file, upload_to_remote
from airflow.utils.log.file_task_handler import FileTaskHandler

from evergreen.storage import Storage
from evergreen_airflow.task_logs import REMOTE_TASK_LOG, TaskLogs

ATTEMPT = "dag_id=bike_demand_score/run_id=one/task_id=score/attempt=1.log"


@pytest.fixture
def logs(configured: Storage, tmp_path: Path) -> TaskLogs:
    """The logs whose local folder is the test's, on a fresh bucket."""
    return TaskLogs(tmp_path)


def write(folder: Path, text: str, path: str = ATTEMPT) -> Path:
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def read(logs: TaskLogs, path: str = ATTEMPT) -> list[list[str]]:
    return [list(lines) for lines in logs.stream(path, None)[1]]


def test_airflow_takes_it_from_beside_the_configuration_that_is_named(
    configured: Storage, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AIRFLOW__LOGGING__LOGGING_CONFIG_CLASS", "evergreen_airflow.task_logs.LOGGING_CONFIG")
    found, conn_id = resolve_remote_task_log(conf=conf, providers_manager=None, import_string=import_string)
    assert found is REMOTE_TASK_LOG
    assert conn_id is None
    assert isinstance(found, RemoteLogStreamIO)


def test_a_task_s_log_is_sent_when_it_has_ended(configured: Storage, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("airflow.sdk.log.load_remote_log_handler", lambda: REMOTE_TASK_LOG)
    file = init_log_file(ATTEMPT)
    with file.open("wb") as opened:
        structlog.BytesLogger(opened).msg(b'{"event": "scored"}')
        opened.flush()
        upload_to_remote(structlog.wrap_logger(structlog.BytesLogger(opened)))
    assert not file.exists()
    assert read(REMOTE_TASK_LOG) == [['{"event": "scored"}']]
    assert REMOTE_TASK_LOG.read(ATTEMPT, None)[0] == [configured.child("task-logs").uri(ATTEMPT)]


def test_airflow_shows_a_log_that_was_sent(
    logs: TaskLogs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the reader that the UI and the API ask, which is told where the attempt's log is."""
    said = ["scored", "24 rows\u2028of a day"]
    lines = [json.dumps({"event": one}, ensure_ascii=False) for one in said]
    logs.upload(write(tmp_path, "".join(f"{line}\n" for line in lines)))
    monkeypatch.setattr("airflow.logging_config.get_remote_task_log", lambda: logs)
    monkeypatch.setattr(FileTaskHandler, "_render_filename", lambda *_: ATTEMPT)
    ended = SimpleNamespace(state="success", try_number=1)
    shown, about = FileTaskHandler(str(tmp_path / "none")).read(ended, 1)
    *before, first, second = [line.event for line in shown]
    assert [first, second] == said
    assert logs.read(ATTEMPT, None)[0][0] in before
    assert about["end_of_log"]


def test_an_attempt_that_was_deferred_goes_on_in_its_log(logs: TaskLogs, tmp_path: Path):
    for part in ("before\n", "after\n"):
        logs.upload(write(tmp_path, part).relative_to(tmp_path))
    logs.upload(write(tmp_path, "waited\n", f"{ATTEMPT}.trigger.7.log"))
    logs.upload(write(tmp_path, "another\n", ATTEMPT.replace("=1.", "=10.")))
    assert read(logs) == [["before", "after"], ["waited"]]


def test_a_log_that_the_storage_does_not_take_stays_and_fails_no_task(
    logs: TaskLogs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("EVERGREEN_STORAGE", "s3://no-such-bucket")
    file = write(tmp_path, "kept\n")
    logs.upload(ATTEMPT)
    assert file.read_text() == "kept\n"
    assert "stays on this machine" in caplog.text
    sources, texts = logs.read(ATTEMPT, None)
    assert texts is None
    assert "could not be read" in sources[0]


def test_a_log_that_is_not_there_is_no_error(logs: TaskLogs):
    logs.upload(ATTEMPT)
    assert logs.stream(ATTEMPT, None) == ([], [])
