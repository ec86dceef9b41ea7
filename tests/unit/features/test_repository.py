"""Code that the repository has, today or formerly, and code that it only seems to have."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from evergreen.features.functions import Place
from evergreen.features.repository import find
from evergreen.features.stored import sha256
from evergreen.spec import parse_spec

KIOSK = parse_spec(Path(__file__).parents[2] / "pipelines" / "kiosk" / "pipeline.yaml")
ONE, TWO, THREE, SIDE = (f"def build(rows):\n    return rows * {n}\n".encode() for n in range(4))


def git(folder: Path, *arguments: str) -> str:
    names = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", str(folder), *names, *arguments], check=True, capture_output=True)
    return done.stdout.decode().strip()


def committed(folder: Path, body: bytes | None) -> str:
    file = folder / "pipelines" / "sales" / "features.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    if body is None:
        file.unlink()
    else:
        file.write_bytes(body)
    git(folder, "add", "--all")
    git(folder, "commit", "-qm", "a change")
    return git(folder, "rev-parse", "HEAD")[:12]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A clone whose branch had the function, lost it, and has it again; another branch was never merged."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "other.txt").write_text("")
    committed(folder, ONE)
    git(folder, "checkout", "-q", "-b", "side")
    committed(folder, SIDE)
    git(folder, "checkout", "-q", "main")
    committed(folder, TWO)
    committed(folder, None)
    committed(folder, THREE)
    return folder


def place_of(folder: Path, within: str = "features.py") -> Place:
    return Place("features.function", f"{within}:build", folder / "pipelines" / "sales", within, "build")


def found(folder: Path, body: bytes, place: Place | None = None) -> str | None:
    spec = KIOSK.model_copy(update={"folder": folder / "pipelines" / "sales"})
    there = find(spec, place or place_of(folder), sha256(body))
    assert there is None or there.body == body
    return None if there is None else there.where


def test_every_state_of_the_file_that_was_ever_deployed_is_found(repository: Path) -> None:
    commits = git(repository, "log", "--format=%h", "--abbrev=12").split()
    assert found(repository, THREE) == "as deployed"
    assert found(repository, TWO) == f"commit {commits[2]}"
    assert found(repository, ONE) == f"commit {commits[3]}"


def test_what_is_on_a_branch_that_was_never_merged_or_not_committed_is_not(repository: Path) -> None:
    assert found(repository, SIDE) is None
    (repository / "pipelines" / "sales" / "draft.py").write_bytes(SIDE)
    assert found(repository, SIDE) is None
    git(repository, "checkout", "-q", "side")
    assert found(repository, SIDE) == "as deployed"


def test_a_folder_that_is_gone_has_its_history_still(repository: Path) -> None:
    git(repository, "rm", "-qr", "pipelines/sales")
    (repository / "pipelines" / "bikes").mkdir(parents=True)
    git(repository, "commit", "-qm", "gone")
    assert str(found(repository, TWO)).startswith("commit ")


def test_a_clone_without_its_history_has_the_file_of_today_alone(repository: Path, tmp_path: Path) -> None:
    shallow = tmp_path / "shallow"
    subprocess.run(
        ["git", "clone", "-q", "--depth", "1", f"file://{repository}", str(shallow)],
        check=True,
        capture_output=True,
    )
    assert found(shallow, THREE) == "as deployed"
    assert found(shallow, TWO) is None


def test_without_git_or_a_repository_only_the_files_count(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("PATH", str(tmp_path))
        assert found(repository, TWO) is None
    plain = tmp_path / "plain"
    former = plain / "pipelines" / "sales" / "former"
    former.mkdir(parents=True)
    assert found(plain, TWO) is None
    (former / "of_may.py").write_bytes(TWO)
    assert found(plain, TWO) == "former/of_may.py"


def test_variables_that_name_another_repository_are_not_followed(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q", "-b", "main")
    committed(other, SIDE)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(other / ".git" / "objects"))
    assert found(repository, SIDE) is None
    assert str(found(repository, TWO)).startswith("commit ")


@pytest.mark.parametrize("within", ["../../other.py", "script.py"])
def test_a_file_that_is_no_function_s_of_today_counts_only_in_former(repository: Path, within: str) -> None:
    place = place_of(repository, within)
    place.file.parent.mkdir(exist_ok=True)
    place.file.resolve().write_bytes(SIDE)
    git(repository, "add", "--all")
    git(repository, "commit", "-qm", "a script")
    assert found(repository, SIDE, place) is None
    former = repository / "pipelines" / "sales" / "former"
    former.mkdir()
    (former / "reviewed.py").write_bytes(SIDE)
    assert found(repository, SIDE, place) == "former/reviewed.py"


def test_a_set_that_the_pipeline_no_longer_names_counts_while_it_is_described(repository: Path) -> None:
    folder = repository / "pipelines" / "feature_sets" / "clock"
    folder.mkdir(parents=True)
    (folder / "own.py").write_bytes(SIDE)
    place = Place("features.sets.0", "feature_sets/clock/own.py:build", folder, "own.py", "build")
    assert found(repository, SIDE, place) is None
    (folder / "feature_set.yaml").write_text("description: d\nowner: o\nfunction: 'own.py:build'\n")
    assert found(repository, SIDE, place) == "as deployed"
