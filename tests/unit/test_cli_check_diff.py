"""`evergreen check --diff`: what the changes since a revision of git touch."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.unit.two_pipelines import Evergreen

CODE = 'open("executed", "w")\n\n\ndef build(rows):\n    return rows[["x"]]\n'
KEEP = "`evergreen models features daily VERSION --keep`"


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=ada", "-c", "user.email=ada@example.org")
    done = subprocess.run(["git", "-C", folder, *who, *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "one")


@pytest.fixture
def cloned(pipelines: Path) -> Path:
    """The two pipelines as the one commit of a repository."""
    (pipelines.parent / ".gitignore").write_text("*.tmp\n")
    git(pipelines.parent, "init", "--quiet")
    edit(pipelines / "daily" / "pipeline.yaml", "task:", 'features: {function: "features.py:build"}\ntask:')
    (pipelines / "daily" / "features.py").write_text(CODE)
    commit(pipelines)
    return pipelines


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def compared(evergreen: Evergreen, *arguments: str) -> dict[str, dict[str, Any]]:
    document = evergreen.document("check", "--diff", "HEAD", "--now", "2011-05-31T18:00", *arguments)
    return {one["pipeline"]: one for one in document["pipelines"]}


def said(difference: dict[str, Any], of: str) -> str:
    return " ".join(one for one in difference["said"] if one.startswith(of))


def test_nothing_is_told_where_nothing_differs_that_counts(cloned: Path, evergreen: Evergreen) -> None:
    (cloned / "daily" / "2011-01-09.tmp").write_text("ignored")
    (cloned / "daily" / "README").write_text("of no stage")
    edit(cloned / "daily" / "pipeline.yaml", "task:", "# a comment\ntask:")
    before = git(cloned, "status", "--porcelain")
    result = evergreen("check", "--diff", "HEAD")
    assert result.exit_code == 0
    assert result.stdout.endswith("\n\nNothing that a pipeline depends on.\n")
    assert git(cloned, "status", "--porcelain") == before


@pytest.mark.parametrize(
    ("old", "new", "dags", "words"),
    [
        (
            "owner: lab",
            "owner: us",
            [],
            ["from the same data a training makes the same version", "stays in force"],
        ),
        ("0 3 * * *", "30 4 * * *", ["ingest"], ["Next ticks: 2011-06-01 04:30 UTC takes 2011-05-31; "]),
        (
            "partition: daily",
            "partition: weekly",
            ["ingest", "score", "monitor", "train", "maintain"],
            ["ingest is refused"],
        ),
        (
            "{partition}.csv",
            "{partition}.txt",
            ["ingest"],
            ["evergreen ingest daily --partition 2011-01-01 --to"],
        ),
        (
            "target: y",
            "target: z",
            ["score", "monitor", "train"],
            ["predicts y and is refused", "another model"],
        ),
        (
            "holdout: 1 days",
            "holdout: 2 days",
            ["train"],
            ["another model, with an id of its own", "in force"],
        ),
        (
            "task:",
            "gate: {limits: {mae: {max: 9}}}\ntask:",
            ["train"],
            ["the same model, judged by another gate"],
        ),
        ("task:", "monitoring: {drift: {psi: 1}}\ntask:", ["monitor"], ["same version", "stays in force"]),
        ("task:", 'alerts: {deadline: "06:00"}\ntask:', ["watch"], ["same version"]),
        ("task:", "validation: {max_quarantined: 1%}\ntask:", ["ingest"], ["not judged again"]),
        (
            "task:",
            "models: {signing: k, require_signature: true}\ntask:",
            ["score", "monitor", "train"],
            ["not signed"],
        ),
    ],
)
def test_what_a_key_touches(
    cloned: Path, evergreen: Evergreen, old: str, new: str, dags: list[str], words: list[str]
) -> None:
    edit(cloned / "daily" / "pipeline.yaml", old, new)
    (found,) = compared(evergreen).values()
    assert (found["pipeline"], found["state"]) == ("daily", "changed")
    assert found["dags"] == [f"daily_{stage}" for stage in dags]
    assert [one for one in words if one not in " ".join(found["said"])] == []


def test_an_expectation_says_which_data_will_be_refused(cloned: Path, evergreen: Evergreen) -> None:
    suite = cloned / "daily" / "expectations.yaml"
    edit(suite, "critical", "warning")
    suite.write_text(suite.read_text() + "- expect_column_values_to_be_between: {column: x, max_value: 9}\n")
    (cloned / "kinds" / "expectations.yaml").unlink()
    found = compared(evergreen)
    assert [
        (one["what"], one["before"], one["after"], one["touches"]) for one in found["daily"]["changes"]
    ] == [
        (
            "expectation expect_column_values_to_not_be_null(y)",
            "critical",
            "warning",
            "rows that break it go to quarantine",
        ),
        (
            "expectation expect_column_values_to_be_between(x)",
            None,
            "critical, max_value: 9",
            "a partition that breaks it is refused",
        ),
    ]
    (gone,) = found["kinds"]["changes"]
    assert (gone["after"], gone["touches"]) == (None, "what broke it is published from now on")
    edit(suite, "- expect", "expect")
    (problem, *_) = compared(evergreen)["daily"]["said"]
    assert problem.startswith("The expectations cannot be compared: ")


def test_code_of_features_is_compared_and_never_executed(cloned: Path, evergreen: Evergreen) -> None:
    folder = cloned / "daily"
    (folder / "features.py").write_text(CODE + "# another\n")
    (found,) = compared(evergreen).values()
    assert [one["what"] for one in found["changes"]] == ["code of features.py:build"]
    assert "another model" in said(found, "Versions")
    assert said(found, "Champion").endswith(f"keep it first: {KEEP}")
    (folder / "former").mkdir()
    (folder / "former" / "features-1.py").write_text(CODE)
    assert said(*compared(evergreen).values(), of="Champion").endswith("the features it was trained on.")
    (folder / "former" / "features-1.py").unlink()
    (folder / "features.py").rename(folder / "others.py")
    edit(folder / "pipeline.yaml", "features.py:build", "others.py:build")
    assert "nothing has their code" in said(*compared(evergreen).values(), of="Champion")
    assert not Path("executed").exists()


def test_data_and_sql_are_of_the_key_that_names_them(cloned: Path, evergreen: Evergreen) -> None:
    (cloned / "daily" / "2011-01-04.csv").write_text("at,x,y\n")
    (cloned / "daily" / "2011-01-01.csv").unlink()
    (change,) = compared(evergreen)["daily"]["changes"]
    assert change["what"] == "content of 2011-01-01.csv, 2011-01-04.csv (sources.rows.file.path)"
    assert change["partitions"] == "read"


def test_pipelines_come_go_break_and_are_mended(cloned: Path, evergreen: Evergreen) -> None:
    edit(
        cloned / "daily" / "pipeline.yaml", "target: y", "target: {y: , x: {gate: {limits: {mae: {max: 9}}}}}"
    )
    edit(cloned / "kinds" / "pipeline.yaml", "metric: accuracy", "metric: acuracy")
    found = compared(evergreen)
    states = {name: one["state"] for name, one in found.items()}
    assert states == {"daily": "removed", "daily_x": "added", "daily_y": "added", "kinds": "broken"}
    assert "evergreen forget daily" in " ".join(found["daily"]["said"])
    assert "training.metric: " in " ".join(found["kinds"]["said"])
    commit(cloned)
    assert compared(evergreen) == {}  # broken as before
    edit(cloned / "kinds" / "pipeline.yaml", "metric: acuracy", "metric: accuracy")
    edit(cloned / "daily" / "pipeline.yaml", "max: 9", "max: 8")
    found = compared(evergreen)
    assert found["kinds"]["state"] == "mended"
    assert found["kinds"]["said"][0].startswith("Its description at HEAD was refused: HEAD:pipelines/kinds/")
    (change,) = found["daily_x"]["changes"]
    assert (change["what"], change["before"], change["after"]) == ("gate.limits.mae.max", "9", "8")
    assert list(compared(evergreen, "kinds")) == ["kinds"]
    assert "no pipeline 'kindz'" in evergreen.line("check", "kindz", "--diff", "HEAD", exit_code=2)


def test_all_is_new_where_the_revision_has_no_such_folder(
    cloned: Path, evergreen: Evergreen, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(cloned, "mv", "../pipelines/kinds", "../kinds")
    other = cloned.parent / "ours"
    other.mkdir()
    git(cloned, "mv", "../kinds", "../ours/kinds")
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(other))
    assert [one["state"] for one in compared(evergreen).values()] == ["added"]


def test_the_text_is_a_comment_on_a_pull_request(cloned: Path, evergreen: Evergreen) -> None:
    edit(cloned / "daily" / "pipeline.yaml", "description: One row a day", 'description: "`a` <b>"')
    lines = evergreen("check", "--diff", "HEAD").stdout.splitlines()
    assert lines[0].startswith("# What changes since HEAD (")
    assert "## daily: changed" in lines
    assert "- DAGs: none does anything else." in lines
    words = "what people read; nothing runs otherwise"
    assert lines[-1] == f"- `description`: `One row a day` is now `'''a'' <b>'` ({words})".replace(
        "'''a''", "''a'"
    )


def test_an_error_is_one_line(pipelines: Path, evergreen: Evergreen, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "--diff needs git, and the folder in a clone" in evergreen.line("check", "--diff", "HEAD")
    git(pipelines, "init", "--quiet")
    for unknown in ("HEAD", "no_such", "-x", ""):
        said = evergreen.line("check", f"--diff={unknown}")
        assert f"no revision '{unknown}': fetch it, or name another" in said
    monkeypatch.setenv("PATH", "")
    assert "there is no git on the PATH: install it" in evergreen.line("check", "--diff", "HEAD")
    assert evergreen("check", "--diff", "HEAD", "--source").exit_code == 2
