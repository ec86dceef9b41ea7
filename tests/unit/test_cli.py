from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from evergreen import cli
from evergreen.lake import Lake, Table
from evergreen.storage import Storage

KINDS = """\
name: kinds
description: Two kinds of things
owner: lab
schedule: "0 3 * * 1"
partition: snapshot
sources:
  things: {file: {path: things.csv}}
key: [thing]
task: classification
target: kind
training:
  metric: accuracy
  candidates:
    - {estimator: sklearn.linear_model.LogisticRegression}
"""
DAILY = """\
name: daily
description: One row a day
owner: lab
schedule: "0 3 * * *"
start: 2011-01-01
partition: daily
sources:
  rows: {file: {path: "{partition}.csv", time_column: at}}
task: regression
target: y
training:
  metric: mae
  holdout: 1 days
  minimum: 9 partitions
  candidates:
    - {estimator: sklearn.linear_model.Ridge}
"""


class Evergreen:
    """Runs the command in this process."""

    def __call__(self, *arguments: str) -> Any:
        return CliRunner().invoke(cli.app, arguments)

    def document(self, *arguments: str, exit_code: int = 0) -> Any:
        """The one document on standard output."""
        result = self(*arguments, "--json")
        assert result.exit_code == exit_code, result.output
        return json.loads(result.stdout)

    def line(self, *arguments: str, exit_code: int = 1) -> str:
        """The one line on standard error; nothing is on standard output."""
        result = self(*arguments)
        assert (result.exit_code, result.stdout) == (exit_code, ""), result.output
        (line,) = result.stderr.splitlines()
        return str(line)


@pytest.fixture
def evergreen() -> Evergreen:
    return Evergreen()


@pytest.fixture
def pipelines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "pipelines"
    for name, text in (("kinds", KINDS), ("daily", DAILY)):
        (folder / name).mkdir(parents=True)
        (folder / name / "pipeline.yaml").write_text(text)
    write_kinds(folder)
    for name, column in (("kinds", "kind"), ("daily", "y")):
        suite = f"- expect_column_values_to_not_be_null: {{column: {column}}}\n  severity: critical\n"
        (folder / name / "expectations.yaml").write_text(suite)
    for day in range(1, 4):
        (folder / "daily" / f"2011-01-0{day}.csv").write_text(
            f"at,x,y\n2011-01-0{day}T00:00:00Z,{day}.5,{day}.0\n"
        )
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(folder))
    return folder


def write_kinds(folder: Path, mix: Callable[[int], int] = lambda number: number % 2) -> None:
    rows = [f"t{n},{mix(n) * 5 + n % 7 / 10},{'ab'[n % 2]}" for n in range(60)]
    (folder / "kinds" / "things.csv").write_text("\n".join(["thing,size,kind", *rows, ""]))


def test_help_needs_no_heavy_import():
    program = """
import sys
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


def test_check_looks_at_everything(pipelines: Path, configured: Storage, evergreen: Evergreen):
    document = evergreen.document("check")
    assert document["ok"]
    assert {(c["pipeline"], c["check"]) for c in document["checks"]} == {(None, "storage")} | {
        (name, what)
        for name in ("kinds", "daily")
        for what in ("description", "expectations", "features", "estimators", "gate", "policy", "power")
    }
    assert configured.list("") == []


def test_check_warns_of_features_that_hardly_vary_once_there_are_rows(
    pipelines: Path, configured: Storage, evergreen: Evergreen
):
    def found(file: str) -> Any:
        (pipelines / "kinds" / "things.csv").write_text(file)
        evergreen.document("ingest", "kinds")
        document = evergreen.document("check", "kinds")
        return next(one for one in document["checks"] if one["check"] == "training set")

    lines = [f"t{n},{n % 7},4,{'ab'[n % 2]}" for n in range(60)]
    warned = found("\n".join(["thing,size,shelf,kind", *lines, ""]))
    said = "in the training window, so a model cannot learn what other values mean."
    assert warned == {
        "pipeline": "kinds",
        "check": "training set",
        "ok": True,
        "detail": f"shelf: one value alone {said}",
        "warns": True,
    }
    assert "warning" in evergreen("check", "kinds").stdout
    lines = [f"t{n},{n % 7},{n % 3},{'ab'[n % 2]}" for n in range(60)]
    fine = found("\n".join(["thing,size,shelf,kind", *lines, ""]))
    assert (fine["detail"], fine["warns"]) == ("60 rows, 2 features", False)


def test_check_says_what_policy_and_gate_will_do(pipelines: Path, configured: Storage, evergreen: Evergreen):
    """In words before any row is there, and by the comparisons that were made."""

    def said(name: str) -> dict[str, str]:
        return {one["check"]: one["detail"] for one in evergreen.document("check", name)["checks"]}

    daily = said("daily")
    assert "signals starts a training" in daily["policy"]
    assert "goes on trial" in daily["policy"]
    assert "no interval" in daily["gate"]
    unknown = "how large a gain can be seen is known after the first comparison with a champion"
    assert daily["power"] == unknown
    evergreen.document("ingest", "kinds")
    evergreen.document("train", "kinds")
    assert said("kinds")["power"] == unknown
    write_kinds(pipelines, mix=lambda number: number % 3)
    evergreen.document("ingest", "kinds")
    version = evergreen.document("train", "kinds", exit_code=3)["version"]
    assert said("kinds")["power"].startswith(f"{version}: this hold-out ")


@pytest.mark.parametrize(
    ("old", "new", "what", "message"),
    [
        ("key: [thing]", "key: thing", "description", "key: must be a list"),
        (
            "target: kind",
            "target: kind\nfeatures: {function: 'features.py:build'}",
            "features",
            "features.py",
        ),
        ("LogisticRegression", "Logistic", "estimators", "Logistic"),
        (
            "{file: {path: things.csv}}",
            "{http: {conn_id: an_api, path: /x}}",
            "connection an_api",
            "AIRFLOW_CONN_AN_API",
        ),
        ("target: kind", "target: kind\nvalidation: {suite: none.yaml}", "expectations", "none.yaml"),
    ],
)
def test_check_finds_what_is_wrong(
    pipelines: Path, configured: Storage, evergreen: Evergreen, old: str, new: str, what: str, message: str
):
    file = pipelines / "kinds" / "pipeline.yaml"
    assert old in KINDS
    file.write_text(KINDS.replace(old, new))
    document = evergreen.document("check", "kinds", exit_code=1)
    (failed,) = [check for check in document["checks"] if not check["ok"]]
    assert failed["check"] == what
    assert message in failed["detail"]


@pytest.mark.parametrize(
    ("new", "conn_id"),
    [
        ("labels: {source: {http: {conn_id: lab, path: '/{partition}'}}, delay: 1 partitions}", "lab"),
        ("alerts: {to: [{conn_id: ops}]}", "ops"),
        ("scoring: {conn_id: db, table: predictions}", "db"),
        ("models: {signing: keys}", "keys"),
    ],
)
def test_check_looks_at_every_connection(
    pipelines: Path, configured: Storage, evergreen: Evergreen, new: str, conn_id: str
):
    (pipelines / "daily" / "pipeline.yaml").write_text(f"{DAILY}{new}\n")
    document = evergreen.document("check", "daily", exit_code=1)
    (failed,) = [check for check in document["checks"] if not check["ok"]]
    assert failed["check"] == f"connection {conn_id}"
    assert f"AIRFLOW_CONN_{conn_id.upper()}" in failed["detail"]


def test_check_holds_arguments_against_the_published_columns(
    pipelines: Path, configured: Storage, evergreen: Evergreen
):
    table = pa.table({"thing": ["a"], "on": pa.array([date(2024, 1, 1)]), "kind": ["k"]})
    Lake(configured, "kinds").replace(Table.PARTITIONS, {"snapshot": table})
    suite = pipelines / "kinds/expectations.yaml"
    suite.write_text("- expect_column_values_to_be_in_set: {column: on, value_set: [2024-01-01]}\n")
    document = evergreen.document("check", "kinds")
    assert document["ok"]
    suite.write_text("- expect_column_values_to_be_in_set: {column: on, value_set: [soon]}\n")
    document = evergreen.document("check", "kinds", exit_code=1)
    (failed,) = [check for check in document["checks"] if not check["ok"]]
    assert failed["check"] == "expectations"
    assert (
        "expectations.yaml: line 1: entry 1: expect_column_values_to_be_in_set(on): value_set: 'soon'"
        in (failed["detail"])
    )


def test_check_shows_the_next_ticks_and_what_they_take(
    pipelines: Path, configured: Storage, evergreen: Evergreen
):
    file = pipelines / "daily" / "pipeline.yaml"
    file.write_text(DAILY.replace("0 3 * * *", "0 3 * * 1-5") + "timezone: Europe/Berlin\n")
    document = evergreen.document("check", "--now", "2024-03-28T12:00")
    ticks = [(tick["at"], tick["partitions"]) for tick in document["ticks"] if tick["pipeline"] == "daily"]
    assert ticks == [
        ("2024-03-29T02:00:00+00:00", ["2024-03-28"]),
        ("2024-04-01T01:00:00+00:00", ["2024-03-29", "2024-03-30", "2024-03-31"]),
        ("2024-04-02T01:00:00+00:00", ["2024-04-01"]),
        ("2024-04-03T01:00:00+00:00", ["2024-04-02"]),
        ("2024-04-04T01:00:00+00:00", ["2024-04-03"]),
    ]
    kinds = [tick for tick in document["ticks"] if tick["pipeline"] == "kinds"]
    assert [tick["at"][:10] for tick in kinds] == [
        "2024-04-01",
        "2024-04-08",
        "2024-04-15",
        "2024-04-22",
        "2024-04-29",
    ]
    assert {tuple(tick["partitions"]) for tick in kinds} == {("snapshot",)}
    shown = evergreen("check", "daily", "--now", "2024-03-28T12:00").stdout
    assert "2024-04-01 03:00 Europe/Berlin" in shown
    assert "2024-03-29 to 2024-03-31 (3 days)" in shown


def test_before_the_start_check_shows_the_first_partition(
    pipelines: Path, configured: Storage, evergreen: Evergreen
):
    (first, *_) = evergreen.document("check", "daily", "--now", "2000-01-01")["ticks"]
    assert (first["at"], first["partitions"]) == ("2011-01-02T03:00:00+00:00", ["2011-01-01"])


def test_a_cron_that_never_comes_is_refused(pipelines: Path, configured: Storage, evergreen: Evergreen):
    (pipelines / "daily" / "pipeline.yaml").write_text(DAILY.replace("0 3 * * *", "0 0 30 2 *"))
    document = evergreen.document("check", "daily", exit_code=1)
    (failed,) = [check for check in document["checks"] if not check["ok"]]
    assert failed["check"] == "description"
    assert "schedule: '0 0 30 2 *' never ticks: no month that it names has such a day" in failed["detail"]
    assert document["ticks"] == []


def test_a_time_that_is_none_is_wrong_usage(pipelines: Path, configured: Storage, evergreen: Evergreen):
    result = evergreen("check", "daily", "--now", "noon")
    assert result.exit_code == 2
    assert "--now 'noon' is no time" in result.stderr


def test_check_without_a_storage_names_the_variable(pipelines: Path, evergreen: Evergreen):
    (failed,) = [c for c in evergreen.document("check", "kinds", exit_code=1)["checks"] if not c["ok"]]
    assert failed["detail"] == (
        "EVERGREEN_STORAGE is not set: start the embedded stack (make up), or set it to s3://bucket or "
        "s3://bucket/prefix"
    )


def test_a_snapshot_goes_round(pipelines: Path, configured: Storage, evergreen: Evergreen):
    published = {"partition": "snapshot", "rows": 60, "quarantined": 0}
    assert evergreen.document("ingest", "kinds") == {
        "pipeline": "kinds",
        "partitions": [{**published, "changed": True}],
    }
    assert evergreen.document("ingest", "kinds")["partitions"] == [{**published, "changed": False}]

    (skipped,) = evergreen.document("score", "kinds")["partitions"]
    assert "no champion" in skipped["skipped"]

    trained = evergreen.document("train", "kinds")
    assert (trained["as_of"], trained["promoted"], trained["existed"]) == ("snapshot", True, False)
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
    assert "kinds snapshot" in evergreen.line("ingest", "kinds", exit_code=3)
    document = evergreen.document("ingest", "kinds", exit_code=3)
    assert list(document) == ["error"]


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
        (("score", "nothing"), "no pipeline 'nothing' in"),
        (("score", "kinds"), "kinds: no partition is published yet: run evergreen ingest kinds first"),
        (("models", "show", "kinds", "v"), "kinds: no version v: see evergreen models list kinds"),
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
