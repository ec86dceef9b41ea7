"""`evergreen serve` and what is below it; which pipelines it serves if none is named."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evergreen import cli
from evergreen.cli.serve import _all, _secret
from evergreen.errors import EvergreenError
from evergreen.storage import Storage
from tests.conftest import ROOT


def test_an_invalid_description_takes_no_other_pipeline_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(ROOT / "include" / "pipelines" / "iris", tmp_path / "iris")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "pipeline.yaml").write_text("name: broken\n")
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(tmp_path))
    monkeypatch.setenv("EVERGREEN_STORAGE", "s3://bucket")
    with caplog.at_level(logging.WARNING):
        assert [pipeline.name for pipeline in _all()] == ["iris"]
    assert "broken is not served: " in caplog.text
    assert "pipeline.yaml" in caplog.text


def test_a_token_needs_a_pipeline_whose_connections_have_it() -> None:
    with pytest.raises(EvergreenError, match="there is no pipeline to serve: 'evergreen check' says why"):
        _secret([], "serving")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nowhere"], 2, "nowhere"),  # a pipeline, and no command
        (["kiosk", "--host", "192.0.2.1"], 1, "serve: 192.0.2.1 can be reached by others"),
        (["--host", "192.0.2.1", "kiosk"], 1, "serve: 192.0.2.1 can be reached by others"),
        (["shadow", "nowhere"], 2, "nowhere"),
        (["skew", "kiosk"], 1, "kiosk: no partition is published yet: run evergreen ingest kiosk first"),
    ],
)
def test_the_server_is_started_unless_a_command_is_named(
    configured: Storage, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, message: str
) -> None:
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(ROOT / "tests" / "pipelines"))
    result = CliRunner().invoke(cli.app, ["serve", *arguments])
    assert result.exit_code == code, result.output
    assert message in result.stderr


def test_the_skew_of_a_partition_without_requests(
    configured: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(ROOT / "tests" / "pipelines"))
    asked = ["serve", "skew", "kiosk", "--partition", "2024-01-02"]
    result = CliRunner().invoke(cli.app, asked)
    assert (result.exit_code, result.stdout.strip()) == (
        0,
        "kiosk 2024-01-02: no rows are logged (describe serving.log first)",
    )
    found = json.loads(CliRunner().invoke(cli.app, [*asked, "--json"]).stdout)
    assert (found["pipeline"], found["partition"], found["rows"], found["columns"]) == (
        "kiosk",
        "2024-01-02",
        0,
        {},
    )
    wrong = CliRunner().invoke(cli.app, ["serve", "skew", "kiosk", "--partition", "yesterday"])
    assert wrong.exit_code == 2
