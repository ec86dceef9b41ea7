from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from evergreen import __version__
from evergreen.cli import app
from evergreen.registry.registry import Registry
from evergreen.storage import Storage
from tests.unit.two_pipelines import Evergreen, write_kinds


def test_help_needs_no_heavy_import():
    program = """
import sys
from typer.main import get_command
from typer.testing import CliRunner
from evergreen.cli import app
assert CliRunner().invoke(app, ["--help"]).exit_code == 0
assert CliRunner().invoke(app, ["pipelines", "--json"]).exit_code == 0
print(*sorted({"pandas", "sklearn", "boto3", "deltalake", "great_expectations", "numpy"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == []


def test_pipelines_are_listed_and_a_broken_one_hides_no_other(pipelines: Path, evergreen: Evergreen):
    (pipelines / "daily" / "pipeline.yaml").write_text("name: daily\n")
    daily, kinds = evergreen.document("pipelines")["pipelines"]
    assert "owner: this key is required" in daily["error"]
    assert (kinds["name"], kinds["task"], kinds["partition"]) == ("kinds", "classification", "snapshot")
    assert "Two kinds of things" in evergreen("pipelines").stdout


def test_a_snapshot_goes_round(pipelines: Path, configured: Storage, evergreen: Evergreen):
    published = {
        "partition": "snapshot",
        "status": "published",
        "rows": 60,
        "quarantined": 0,
        "changed": True,
        "info": 0,
        "expectations": [],
        "reason": None,
    }
    found = evergreen.document("ingest", "kinds")
    assert found["pipeline"] == "kinds"
    assert found["partitions"] == [{**published, "page": found["partitions"][0]["page"]}]
    assert configured.exists(found["partitions"][0]["page"].removeprefix(configured.uri("")).strip("/"))
    again = evergreen.document("ingest", "kinds")["partitions"][0]
    assert (again["status"], again["changed"]) == ("unchanged", False)

    (skipped,) = evergreen.document("score", "kinds")["partitions"]
    assert "no champion" in skipped["skipped"]

    trained = evergreen.document("train", "kinds")
    assert (trained["as_of"], trained["promoted"], trained["existed"]) == ("snapshot", True, False)
    *_, card, then = evergreen("train", "kinds").stdout.splitlines()
    assert then == "next: evergreen score kinds"
    assert card == f"card: {trained['card']}"
    assert trained["card"].endswith(f"/kinds/models/{trained['version']}/card.html")
    again = evergreen.document("train", "kinds")
    assert (again["version"], again["existed"]) == (trained["version"], True)

    scored = {"partition": "snapshot", "version": trained["version"], "rows": 60}
    assert evergreen.document("score", "kinds")["partitions"] == [{**scored, "changed": True}]
    assert evergreen.document("score", "kinds")["partitions"] == [{**scored, "changed": False}]

    (decision,) = evergreen.document("monitor", "kinds")["partitions"]
    measured = decision["metrics"]["accuracy"]
    assert 0.5 < measured["value"] <= 1
    assert set(measured) == {"value", "promised", "undefined", "pooled"}
    assert (decision["partition"], decision["retrain"]) == ("snapshot", False)

    (status,) = evergreen.document("status", "kinds")["pipelines"]
    assert (status["champion"], status["newest"], status["measured"]) == (
        trained["version"],
        *["snapshot"] * 2,
    )
    assert (status["error"], status["promised"]) == (measured["pooled"], measured["promised"])
    assert (status["last"]["reason"], status["to_do"], status["age"]) == (decision["reason"], None, None)
    data, night = evergreen.document("explain", "kinds", "snapshot")["explanations"]
    assert data["sentence"] == "snapshot is published with 60 rows, and none in quarantine"
    assert night["sentence"] == f"snapshot: {decision['reason']}"
    (why,) = evergreen.document("explain", "kinds", "snapshot-")["explanations"]
    assert why["sentence"].startswith(f"{trained['version']} is the champion, since ")
    assert [one["word"] for one in why["grounds"] if one["name"] == "gate: baseline"] == ["passed"]

    listed = evergreen.document("models", "list", "kinds")
    assert (listed["pipeline"], listed["champion"]) == ("kinds", trained["version"])
    (version,) = listed["versions"]
    assert version["state"] == "champion"
    assert version["metrics"] == trained["metrics"]
    assert trained["version"] in evergreen("models", "list", "kinds").stdout

    shown = evergreen.document("models", "show", "kinds", trained["version"])
    assert "model.skops" in shown["files"]
    assert [event["kind"] for event in shown["events"]] == ["promoted"]
    assert evergreen.document("models", "verify", "kinds") == {
        "pipeline": "kinds",
        "ok": True,
        "problems": [],
    }


def test_a_refused_model_exits_with_3_and_can_be_promoted_by_hand(
    pipelines: Path, configured: Storage, evergreen: Evergreen
):
    evergreen.document("ingest", "kinds")
    first = evergreen.document("train", "kinds")["version"]
    write_kinds(pipelines, mix=lambda number: number % 3)
    evergreen.document("ingest", "kinds")
    refused = evergreen.document("train", "kinds", exit_code=3)
    assert not refused["promoted"]
    assert evergreen.document("models", "list", "kinds")["champion"] == first

    promoted = evergreen.document("models", "promote", "kinds", refused["version"])
    assert promoted["champion"] == refused["version"]
    listed = evergreen.document("models", "list", "kinds")["versions"]
    assert [(v["version"], v["state"]) for v in listed] == [
        (refused["version"], "champion"),
        (first, "superseded"),
    ]
    back = evergreen.document("models", "rollback", "kinds")
    assert (back["champion"], back["event"]["replaces"]) == (first, refused["version"])
    assert f"{first} is the only version in force" in evergreen.line("models", "rollback", "kinds")


def test_a_changed_model_file_is_reported_and_not_scored_with(
    pipelines: Path, configured: Storage, evergreen: Evergreen
):
    evergreen.document("ingest", "kinds")
    version = evergreen.document("train", "kinds")["version"]
    key = f"kinds/models/{version}/model.skops"
    configured.stage(key, configured.read(key).body[:-1] + b"\x01")
    for arguments in (("score", "kinds"), ("models", "promote", "kinds", version)):
        line = evergreen.line(*arguments)
        assert f"version {version}: 'model.skops'" in line
        assert "it is not loaded; restore the file, or withdraw the version" in line
    problems = evergreen.document("models", "verify", "kinds", exit_code=1)["problems"]
    assert len(problems) == 1


def test_partitions_default_to_the_next_and_the_newest(
    pipelines: Path, configured: Storage, evergreen: Evergreen
):
    def ingested(*arguments: str) -> list[str]:
        return [p["partition"] for p in evergreen.document("ingest", "daily", *arguments)["partitions"]]

    assert ingested() == ["2011-01-01"]
    assert ingested() == ["2011-01-02"]
    assert ingested("--to", "2011-01-03") == ["2011-01-03"]
    assert ingested("--partition", "2011-01-01", "--to", "2011-01-02") == ["2011-01-01", "2011-01-02"]
    scored = evergreen.document("score", "daily")["partitions"]
    assert [p["partition"] for p in scored] == ["2011-01-03"]
    scored = evergreen.document("score", "daily", "--partition", "2011-01-01", "--to", "2011-01-03")[
        "partitions"
    ]
    assert [p["partition"] for p in scored] == ["2011-01-01", "2011-01-02", "2011-01-03"]


def test_a_training_says_what_comes_next_and_a_scoring_since_when_there_is_a_champion(
    pipelines: Path, configured: Storage, evergreen: Evergreen, monkeypatch: pytest.MonkeyPatch
):
    for day in [day for day in range(1, 15) if day != 12]:
        rows = "".join(f"2011-01-{day:02d}T{hour:02d}:00:00Z,{hour},{hour + day}\n" for hour in range(24))
        (pipelines / "daily" / f"2011-01-{day:02d}.csv").write_text(f"at,x,y\n{rows}")
    evergreen("ingest", "daily", "--partition", "2011-01-01", "--to", "2011-01-14")
    monkeypatch.setattr("evergreen.cli.command._watched", lambda: True)
    trained = evergreen("train", "daily")
    assert "daily: training as of 2011-01-15: 312 rows, of which 24 are held out; features: 1" in (
        trained.stderr.splitlines()
    )
    assert trained.stdout.splitlines()[-2:] == [
        "in force from 2011-01-15 on: the night that brings this partition is the first to be scored",
        "to score days that are published, train as of an earlier one: evergreen train daily --as-of "
        "2011-01-14, then evergreen score daily",
    ]
    (skipped,) = evergreen.document("score", "daily")["partitions"]
    assert "(the first is from 2011-01-15 on): train one as of it or earlier" in skipped["skipped"]

    monkeypatch.setattr("evergreen.cli.command._watched", lambda: False)
    earlier = evergreen("train", "daily", "--as-of", "2011-01-11")
    assert earlier.stderr == ""
    following = "next: evergreen score daily --partition 2011-01-11 --to 2011-01-14"
    assert earlier.stdout.splitlines()[-1] == following
    scored = evergreen.document(*following.split()[2:])["partitions"]
    assert [one["rows"] for one in scored] == [24, 0, 24, 24]
    assert "2011-01-12: this partition is not published" in scored[1]["skipped"]


def test_too_little_history_is_nothing_to_do(pipelines: Path, configured: Storage, evergreen: Evergreen):
    evergreen.document("ingest", "daily", "--partition", "2011-01-01", "--to", "2011-01-03")
    document = evergreen.document("train", "daily", "--as-of", "2011-01-03")
    assert "9" in document["nothing_to_do"]
    assert document["nothing_to_do"] in evergreen("train", "daily", "--as-of", "2011-01-03").stdout


def test_a_backtest_ingests_what_is_missing_and_compares_policies(
    pipelines: Path, configured: Storage, evergreen: Evergreen
):
    for day in range(1, 17):
        rows = "".join(f"2011-01-{day:02d}T{hour:02d}:00:00Z,{hour},{hour + day}\n" for hour in range(24))
        (pipelines / "daily" / f"2011-01-{day:02d}.csv").write_text("at,x,y\n" + rows)
    document = evergreen.document("backtest", "daily", "--from", "2011-01-10", "--to", "2011-01-16")
    assert (document["pipeline"], document["from"], document["to"]) == ("daily", "2011-01-10", "2011-01-16")
    columns = {"policy", "metric", "value", "trainings", "promotions", "refusals", "seconds"}
    assert all(columns <= set(result) for result in document["policies"])
    (never,) = [result for result in document["policies"] if result["policy"] == "never"]
    assert (never["metric"], never["trainings"], never["promotions"]) == ("mae", 1, 1)
    assert never["value"] > 0
    newest = evergreen.document("score", "daily")["partitions"]
    assert [p["partition"] for p in newest] == ["2011-01-16"]


def test_refused_data_exits_with_3(pipelines: Path, configured: Storage, evergreen: Evergreen):
    (pipelines / "kinds" / "things.csv").write_text("thing,size,kind\nt1,1.0,\n")
    (untried,) = evergreen.document("explain", "kinds", "snapshot")["explanations"]
    assert untried["sentence"] == "snapshot is not published: no ingest has tried it"
    assert "kinds snapshot" in evergreen.line("ingest", "kinds", exit_code=3)
    (refused,) = evergreen.document("explain", "kinds", "snapshot")["explanations"]
    assert refused["sentence"].startswith(
        "snapshot is not published; the last attempt ended with: column 'kind' has no value in any row"
    )
    (pipelines / "daily" / "pipeline.yaml").write_text("name: daily\n")
    broken, empty = evergreen.document("status")["pipelines"]
    assert "owner: this key is required" in broken["problem"]
    assert empty["to_do"] == "nothing is published yet: evergreen ingest kinds"
    shown = evergreen("status").stdout
    assert "daily: " in shown
    assert f"kinds: {empty['to_do']}" in shown.splitlines()
    document = evergreen.document("ingest", "kinds", exit_code=3)
    assert list(document) == ["pipeline", "partitions", "summary", "without_suite", "error"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("score", "daily", "--partition", "2011-13-01"),
        ("score", "daily", "--partition", "2011-01-02", "--to", "2011-01-01"),
        ("score", "kinds", "--partition", "2011-01-01"),
        ("train", "daily", "--as-of", "soon"),
        ("ingest",),
        ("ingest", "daily", "--as-of", "2011-01-01"),
        ("backtest", "daily", "--from", "2011-01-01"),
        ("backtest", "daily", "--from", "2011-01-02", "--to", "2011-01-01"),
        ("models", "show", "daily"),
        ("nonsense",),
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2(
    pipelines: Path, configured: Storage, evergreen: Evergreen, arguments: tuple[str, ...]
):
    result = evergreen(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Usage" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("score", "kind"), "(nearest: kinds)"),
        (("check", "nothing"), "(there: daily, kinds)"),
        (("score", "daily", "--partition", "soon"), "'soon' is not a key of a daily pipeline"),
        (("models", "lst", "kinds"), "No such command 'lst'. Did you mean 'list'"),
        (("score", "kinds", "--until", "2011-01-01"), "No such option: --until"),
        (("ingest",), "Missing argument 'PIPELINE'."),
    ],
)
def test_wrong_usage_is_a_document_too(
    pipelines: Path, configured: Storage, evergreen: Evergreen, arguments: tuple[str, ...], message: str
):
    document = evergreen.document(*arguments, exit_code=2)
    assert list(document) == ["error"]
    assert message in document["error"]
    assert message in evergreen(*arguments).stderr


def test_a_shell_completes_pipelines_and_the_versions_of_the_one_before(
    pipelines: Path, configured: Storage, monkeypatch: pytest.MonkeyPatch
):
    registry = Registry(configured.child("kinds"), "kinds")
    for version in ("snapshot-aaaa", "snapshot-abbb"):
        registry.commit(version, {"metrics.json": b"{}"})

    def completed(line: str) -> list[str]:
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        monkeypatch.setenv("_EVERGREEN_COMPLETE", "complete_bash")
        return str(CliRunner().invoke(app, [], prog_name="evergreen").stdout).split()

    assert completed("evergreen train ") == ["daily", "kinds"]
    assert completed("evergreen models show kinds snapshot-ab") == ["snapshot-abbb"]
    assert sorted(completed("evergreen models rollback kinds --to ")) == ["snapshot-aaaa", "snapshot-abbb"]
    assert completed("evergreen models show nothing s") == []
    configured.stage("kinds/history/1.json", b"no event")
    assert completed("evergreen models show kinds s") == []


def commands() -> Iterator[tuple[str, Any]]:
    """Every command, by its words."""

    def below(group: Any, words: str) -> Iterator[tuple[str, Any]]:
        for name, command in group.commands.items():
            own = f"{words} {name}".strip()
            if hasattr(command, "commands"):
                yield from below(command, own)
            else:
                yield own, command

    return below(get_command(app), "")


def calls() -> Iterator[tuple[str, list[str]]]:
    """Every command's words, and the lines of its examples."""
    for words, command in commands():
        yield words, (command.epilog or "").splitlines()[2:]


def test_a_shell_completes_the_pipelines_of_every_command(pipelines: Path):
    found = {}
    for words, command in commands():
        context = command.make_context(words, [], resilient_parsing=True)
        for given in command.params:
            if str(given.metavar).strip("[].") == "PIPELINE":
                found[words] = [one.value for one in given.shell_complete(context, "")]
    assert {"check", "forget", "report", "serve start", "status", "train"} <= found.keys()
    assert {words: names for words, names in found.items() if names != ["daily", "kinds"]} == {}


@pytest.mark.parametrize(("words", "examples"), calls())
def test_the_help_of_every_command_ends_with_examples_that_can_be_called(words: str, examples: list[str]):
    assert examples, "give it an example"
    for line in examples:
        program, *called = shlex.split(line)
        assert program == "evergreen"
        command, context = get_command(app), None
        while hasattr(command, "commands"):
            context = command.make_context(None, called, parent=context)
            name, command, called = command.resolve_command(
                context, [*context._protected_args, *context.args]
            )
        command.make_context(name, called, parent=context)
        assert " ".join(words.split()[:-1]) in line
        assert (
            CliRunner().invoke(app, [*words.split(), "--help"]).stdout.splitlines()[-1].strip()
            == examples[-1].strip()
        )


def test_the_version_is_told(evergreen: Evergreen):
    assert evergreen("--version").stdout.split()[:2] == ["evergreen", __version__]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("score", "kinds"), "kinds: no partition is published yet: run evergreen ingest kinds first"),
        (
            ("models", "show", "kinds", "v"),
            "kinds: no version starts with 'v' (the newest: none): see evergreen models",
        ),
        (("models", "rollback", "kinds"), "kinds: nothing to roll back"),
    ],
)
def test_a_failure_is_one_line(
    pipelines: Path, configured: Storage, evergreen: Evergreen, arguments: tuple[str, ...], message: str
):
    assert message in evergreen.line(*arguments)
    assert message in evergreen.document(*arguments, exit_code=1)["error"]
    assert "Traceback" in evergreen(*arguments, "--debug").stderr


def test_an_unexpected_failure_is_one_line_too(
    pipelines: Path, configured: Storage, evergreen: Evergreen, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Storage, "list", lambda *arguments, **named: 1 / 0)
    line = evergreen.line("models", "list", "kinds")
    assert line == "evergreen: unexpected ZeroDivisionError: division by zero (--debug shows where)"
    assert "Traceback" in evergreen("models", "list", "kinds", "--debug").stderr


def test_the_stack_beside_the_repository_is_found(
    pipelines: Path,
    configured: Storage,
    evergreen: Evergreen,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("EVERGREEN_HOME", str(tmp_path))
    (tmp_path / "env").write_text(f"EVERGREEN_STORAGE={configured.uri()}\n")
    monkeypatch.delenv("EVERGREEN_STORAGE")
    assert evergreen.document("models", "list", "kinds")["versions"] == []
