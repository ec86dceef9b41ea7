from __future__ import annotations

import os
from pathlib import Path

import pytest

from evergreen import environment
from evergreen.errors import EvergreenError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EVERGREEN_HOME", str(tmp_path))
    monkeypatch.setattr(os, "environ", os.environ.copy())
    return tmp_path


def test_variables_that_are_not_set_are_taken(home: Path):
    (home / "env").write_text("# a stack\n\nEVERGREEN_STORAGE=s3://here\nexport AWS_REGION='eu west'\n")
    environment.load_environment()
    assert os.environ["EVERGREEN_STORAGE"] == "s3://here"
    assert os.environ["AWS_REGION"] == "eu west"


def test_variables_that_are_set_win(home: Path):
    os.environ["EVERGREEN_STORAGE"] = "s3://mine"
    (home / "env").write_text("EVERGREEN_STORAGE=s3://here\n")
    environment.load_environment()
    assert os.environ["EVERGREEN_STORAGE"] == "s3://mine"


def test_only_variables_that_evergreen_reads_are_taken(home: Path):
    (home / "env").write_text(
        "LD_PRELOAD=/x.so\nPYTHONPATH=/x\nAIRFLOW__CORE__X=1\nAIRFLOW_CONN_A='{\"a\": 1}'\n"
    )
    before = dict(os.environ)
    environment.load_environment()
    assert {name: os.environ[name] for name in set(os.environ) - set(before)} == {
        "AIRFLOW_CONN_A": '{"a": 1}'
    }


def test_no_file_is_no_error(home: Path):
    before = dict(os.environ)
    environment.load_environment()
    assert dict(os.environ) == before


def test_they_can_be_looked_at_without_being_set(home: Path):
    (home / "env").write_text("EVERGREEN_STORAGE=s3://here\n")
    before = dict(os.environ)
    assert environment.variables() == {**before, "EVERGREEN_STORAGE": "s3://here"}
    assert dict(os.environ) == before


def test_the_current_folder_comes_before_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("EVERGREEN_HOME")
    monkeypatch.chdir(tmp_path)
    root = Path(environment.__file__).resolve().parents[2]
    assert environment.home() == root / ".evergreen"
    (tmp_path / ".evergreen").mkdir()
    (tmp_path / ".evergreen" / "env").write_text("")
    assert environment.home() == tmp_path / ".evergreen"


@pytest.mark.parametrize("line", ["no equals s3cret", "A='s3cret", "A=1 s3cret", "1A=s3cret", "=s3cret"])
def test_a_wrong_line_is_named_and_not_repeated(home: Path, line: str):
    (home / "env").write_text(f"A=1\n{line}\n")
    with pytest.raises(EvergreenError, match="env: line 2 is not NAME=value") as caught:
        environment.load_environment()
    assert "s3cret" not in str(caught.value)
