"""Which pipelines `evergreen serve` serves if none is named."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from evergreen.cli.serve import _all, _secret
from evergreen.errors import EvergreenError
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
