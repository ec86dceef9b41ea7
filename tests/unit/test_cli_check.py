"""`evergreen check`."""

from __future__ import annotations

import json
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from evergreen.boosters.catalogue import REMEDY
from evergreen.front_door.opened import find_all
from evergreen.lake import Lake, Table
from evergreen.storage import Storage
from tests.unit.two_pipelines import DAILY, KINDS, Evergreen, write_kinds


def test_check_looks_at_everything(pipelines: Path, configured: Storage, evergreen: Evergreen):
    document = evergreen.document("check", "--source")
    assert document["ok"]
    assert {(c["pipeline"], c["check"]) for c in document["checks"]} == {(None, "storage")} | {
        (name, what)
        for name in ("kinds", "daily")
        for what in (
            "description",
            "expectations",
            "features",
            "estimators",
            "gate",
            "policy",
            "power",
            "source",
        )
    }
    assert configured.list("") == []


def test_the_folder_of_several_targets_stands_for_the_pipelines_of_all(
    pipelines: Path, configured: Storage, evergreen: Evergreen
):
    file = pipelines / "daily" / "pipeline.yaml"
    file.write_text(DAILY.replace("target: y", "target: {y: {gate: {limits: {mae: {max: 9}}}}, x: }"))
    document = evergreen.document("check", "daily")
    assert {c["pipeline"] for c in document["checks"]} == {None, "daily_y", "daily_x"}
    assert {tick["pipeline"] for tick in document["ticks"]} == {"daily_y", "daily_x"}
    listed = evergreen.document("pipelines")["pipelines"]
    assert [(one["name"], one["target"]) for one in listed] == [
        ("daily_x", "x"),
        ("daily_y", "y"),
        ("kinds", "kind"),
    ]
    said = evergreen.line("ingest", "daily", "--partition", "2011-01-01", exit_code=2)
    assert said.endswith("describes a pipeline for each of its targets: name one of daily_y, daily_x")
    assert [pipeline.name for pipeline in find_all("daily")] == ["daily_y", "daily_x"]
    looked = evergreen.document("look", "daily.rows")
    assert looked == evergreen.document("look", "daily_y.rows")


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
        (
            "{file: {path: things.csv}}",
            "{file: {path: 'az://box/things.csv', conn_id: lake}}",
            "connection lake",
            "AIRFLOW_CONN_LAKE",
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


NEIGHBOURS = "sklearn.neighbors.KNeighborsClassifier"
TREE = "sklearn.tree.DecisionTreeClassifier"


@pytest.mark.parametrize(
    ("candidate", "missing", "message"),
    [
        (NEIGHBOURS, None, "KNeighborsClassifier cannot be explained: explained can be linear models, "),
        (f"{TREE}, preprocess: [sklearn.decomposition.PCA]", None, "PCA mixes features, "),
        (TREE, "lightgbm", f"contributions are computed by LightGBM: lightgbm is not installed: {REMEDY}"),
        ("xgboost.XGBClassifier", "xgboost", f"xgboost-cpu is not installed: {REMEDY}"),
    ],
)
def test_check_says_before_the_night_what_cannot_be_explained(
    pipelines: Path,
    configured: Storage,
    evergreen: Evergreen,
    monkeypatch: pytest.MonkeyPatch,
    candidate: str,
    missing: str | None,
    message: str,
):
    if missing:
        monkeypatch.setitem(sys.modules, missing, None)
    file = pipelines / "kinds" / "pipeline.yaml"
    text = KINDS.replace("sklearn.linear_model.LogisticRegression", candidate)
    file.write_text(f"{text}explain: 3\n")
    document = evergreen.document("check", "kinds", exit_code=1)
    (failed,) = [check for check in document["checks"] if not check["ok"]]
    assert failed["check"] == "estimators"
    assert f"{file}: training.candidates.0.estimator: " in failed["detail"]
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


@pytest.mark.parametrize(
    ("source", "complete"),
    [
        ("path: 'sftp://drop/things.csv', conn_id: drop", ""),
        ("path: things.csv", ", complete: {file: 'sftp://drop/{partition}.done', conn_id: drop}"),
    ],
)
def test_check_looks_at_the_connections_of_files(
    pipelines: Path,
    configured: Storage,
    evergreen: Evergreen,
    source: str,
    complete: str,
    monkeypatch: pytest.MonkeyPatch,
):
    file = pipelines / "kinds" / "pipeline.yaml"
    file.write_text(KINDS.replace("{file: {path: things.csv}}", f"{{file: {{{source}}}{complete}}}"))

    def said() -> dict[str, dict[str, str]]:
        document = json.loads(evergreen("check", "kinds", "--json").stdout)
        return {one["check"]: one for one in document["checks"]}

    monkeypatch.setenv("AIRFLOW_CONN_DROP", "sftp://me:secret@drop?host_keys=x")
    assert "'host_keys' in its extra is no key of a connection to SFTP" in said()["connection drop"]["detail"]
    monkeypatch.setenv("AIRFLOW_CONN_DROP", "sftp://me:secret@elsewhere")
    assert "is for the host elsewhere:22, and the path begins" in said()["connection drop"]["detail"]
    monkeypatch.setenv("AIRFLOW_CONN_DROP", "sftp://me:secret@drop")
    assert said()["connection drop"]["ok"]


@pytest.mark.parametrize(
    ("source", "conn_id"),
    [
        (
            "{http: {conn_id: api, path: '/{store}', for_each: {store: {conn_id: db, sql: stores.sql}}}}",
            "db",
        ),
        ("{sql: {conn_id: db, table: things}}", "db"),
    ],
)
def test_check_looks_at_the_connections_of_queries(
    pipelines: Path,
    configured: Storage,
    evergreen: Evergreen,
    source: str,
    conn_id: str,
    monkeypatch: pytest.MonkeyPatch,
):
    file = pipelines / "kinds" / "pipeline.yaml"
    file.write_text(KINDS.replace("{file: {path: things.csv}}", source))
    monkeypatch.setenv("AIRFLOW_CONN_API", "http://127.0.0.1:1")

    def failed() -> list[tuple[str, str]]:
        document = json.loads(evergreen("check", "kinds", "--no-source", "--json").stdout)
        return [(one["check"], one["detail"]) for one in document["checks"] if not one["ok"]]

    for uri, says in (
        (None, "AIRFLOW_CONN_DB"),
        ("http://127.0.0.1:1", "its type 'http' is none of postgres, sqlite,"),
    ):
        if uri:
            monkeypatch.setenv("AIRFLOW_CONN_DB", uri)
        ((check, detail),) = failed()
        assert check == f"connection {conn_id}"
        assert says in detail
    monkeypatch.setenv("AIRFLOW_CONN_DB", "sqlite:///shop.db")
    assert failed() == []


def test_check_holds_arguments_against_the_published_columns(
    pipelines: Path, configured: Storage, evergreen: Evergreen
):
    things = [f"thing {number}" for number in range(20)]
    table = pa.table({"thing": things, "on": pa.array([date(2024, 1, 1)] * 20), "kind": ["k", "l"] * 10})
    Lake(configured, "kinds").replace(Table.PARTITIONS, {"snapshot": table})
    suite = pipelines / "kinds/expectations.yaml"
    suite.write_text("- expect_column_values_to_be_in_set: {column: on, value_set: [2024-01-01]}\n")
    document = evergreen.document("check", "kinds", "--no-source")
    assert document["ok"]
    suite.write_text("- expect_column_values_to_be_in_set: {column: on, value_set: [soon]}\n")
    document = evergreen.document("check", "kinds", "--no-source", exit_code=1)
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


def test_check_says_what_of_requests_is_logged_and_which_column_is_none(
    pipelines: Path, configured: Storage, evergreen: Evergreen
):
    def found(drop: str, exit_code: int = 0) -> Any:
        log = f"serving: {{log: {{share: 10%, drop: [{drop}]}}}}\n"
        (pipelines / "kinds" / "pipeline.yaml").write_text(KINDS + log)
        checks = evergreen.document("check", "kinds", exit_code=exit_code)["checks"]
        return next(one for one in checks if one["check"] == "request log")

    said = "rows of 10% of the keys are logged without sise; the key (thing) is written as it is"
    assert (found("sise")["ok"], found("sise")["detail"]) == (True, said)  # nothing is published yet
    evergreen.document("ingest", "kinds")
    assert found("sise", 1)["detail"].startswith("kinds: serving.log.drop: 'sise' is no column that is")
    assert found("size")["ok"]


def test_offline_looks_at_the_folder_alone(
    pipelines: Path, monkeypatch: pytest.MonkeyPatch, evergreen: Evergreen
):
    monkeypatch.delenv("EVERGREEN_STORAGE", raising=False)
    document = evergreen.document("check", "--offline")
    looked = {"description", "expectations", "features", "estimators", "gate", "policy"}
    assert {check["check"] for check in document["checks"]} == looked
    (pipelines / "kinds" / "pipeline.yaml").write_text("name: kinds")
    assert not evergreen.document("check", "--offline", exit_code=1)["ok"]


def test_offline_looks_at_no_source(pipelines: Path, evergreen: Evergreen):
    said = evergreen.document("check", "--offline", "--source", exit_code=2)["error"]
    assert said.endswith("--offline looks at no source, leave out --source")
