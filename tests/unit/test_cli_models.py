from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from typer.testing import CliRunner

from evergreen.cli import app
from evergreen.registry import registry as module
from evergreen.registry.registry import Registry
from evergreen.storage import Storage

A, B, C = "2011-04-01-aaaa", "2011-05-01-bbbb", "2011-06-01-cccc"
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def registry(configured: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The models of the pipeline `bikes`, of which the first was refused two years ago."""
    folder = tmp_path / "bikes"
    folder.mkdir()
    (folder / "pipeline.yaml").write_text(
        "name: bikes\ndescription: Bikes\nowner: team\nschedule: '0 2 * * *'\n"
        "start: 2011-01-01\npartition: daily\n"
        "sources: {rentals: {file: {path: rentals.csv, time_column: at}}}\n"
        "task: regression\ntarget: cnt\n"
        "training: {window: 30 days, holdout: 7 days, metric: mae, "
        "candidates: [{estimator: sklearn.linear_model.Ridge}]}\n"
    )
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(tmp_path))
    registry = Registry(configured.child("bikes"), "bikes")
    for version in (A, B, C):
        registry.commit(version, {"metrics.json": b'{"mae": 1.0}'})
    clock = mock.Mock(wraps=datetime)
    clock.now.return_value = datetime.now(UTC) - timedelta(days=730)
    with mock.patch.object(module, "datetime", clock):
        registry.refuse(A, A[:10], {})
    registry.promote(B, B[:10], {})
    return registry


@pytest.fixture
def run() -> Run:
    """Runs `evergreen models ... --json` and returns its document; another exit code is a failure."""

    def call(*arguments: str, exit_code: int = 0) -> dict[str, Any]:
        result = CliRunner().invoke(app, ["models", *arguments, "--json"])
        assert result.exit_code == exit_code, result.output
        return dict(json.loads(result.stdout))

    return call


def test_clean_removes_what_a_dry_run_tells(registry: Registry, run: Run):
    told = run("clean", "bikes", "--dry-run")
    assert (told["dry_run"], told["versions"], told["leftovers"]) == (True, [A], [])
    assert registry.versions() == [C, B, A]
    done = run("clean", "bikes")
    assert {**told, "dry_run": False} == done
    assert Registry(registry._versions._storage, "bikes").versions() == [C, B]
    assert run("clean", "bikes")["versions"] == []
    assert CliRunner().invoke(app, ["models", "clean", "bikes"]).stdout == "bikes: nothing to remove\n"


def test_verify_tells_leftovers_and_is_content(registry: Registry, run: Run, configured: Storage):
    configured.stage("bikes/models/2011-07-01-dddd/metrics.json", b"{}")
    assert run("verify", "bikes") == {
        "pipeline": "bikes",
        "ok": True,
        "problems": [],
        "leftovers": ["2011-07-01-dddd"],
    }


def test_a_rollback_by_hand_says_why(registry: Registry, run: Run):
    registry.promote(C, C[:10], {})
    event = run("rollback", "bikes", "--to", B, "--why", "it overshoots on holidays")["event"]
    assert (event["kind"], event["version"], event["replaces"]) == ("rolled_back", B, C)
    assert event["reason"] == {"trigger": "by hand", "why": "it overshoots on holidays"}
    assert event["by"]
    assert event["at"]


def test_a_canary_is_held_to_its_golden_sample_and_said_in_the_list(
    registry: Registry, run: Run, monkeypatch: pytest.MonkeyPatch
):
    damaged = run("canary", "bikes", C, "--share", "5%", exit_code=1)
    assert C in damaged["error"]
    monkeypatch.setattr("evergreen.scoring.checked_model.load_checked_model", lambda *_: None)
    event = run("canary", "bikes", C, "--share", "5%", "--why", "try")["event"]
    assert (event["kind"], event["version"], event["share"]) == ("canary", C, 0.05)
    listed = run("list", "bikes")
    assert (listed["champion"], listed["canary"]) == (B, {"version": C, "share": 0.05})
    (shown,) = [one for one in listed["versions"] if one["version"] == C]
    assert (shown["state"], shown["at"], shown["reason"]["why"]) == ("canary", event["at"], "try")
    said = CliRunner().invoke(app, ["models", "canary", "bikes", C, "--end"])
    assert said.stdout == f"bikes: {C} is no canary any more, {B} answers all\n"
    assert run("list", "bikes")["canary"] is None


@pytest.mark.parametrize("arguments", [[], ["--share", "5"], ["--share", "5%", "--end"], ["--share", "five"]])
def test_the_share_of_a_canary_is_said_once(registry: Registry, arguments: list[str]):
    assert CliRunner().invoke(app, ["models", "canary", "bikes", C, *arguments]).exit_code == 2


def test_a_version_is_named_by_the_beginning_of_its_id(registry: Registry, run: Run):
    assert run("show", "bikes", "2011-04")["version"] == A
    several = run("show", "bikes", "2011-0", exit_code=1)["error"]
    assert several == f"bikes: 3 versions start with '2011-0': write more of one: {C}, {B}, {A}"
    registry.promote(C, C[:10], {})
    assert run("rollback", "bikes", "--to", "2011-05")["champion"] == B
    registry.clean(timedelta(days=365))
    assert f"{A} was removed by" in run("show", "bikes", A, exit_code=1)["error"]


def test_two_versions_are_compared_side_by_side(registry: Registry, run: Run):
    registry.commit("2011-07-01-dddd", {"metrics.json": b'{"mae": 0.5}'})
    both = run("compare", "bikes", "2011-04", "2011-07")
    assert [both[side]["version"] for side in ("first", "second")] == [A, "2011-07-01-dddd"]
    (line,) = both["parts"][0]["lines"]
    assert (line["name"], line["change"], line["better"], line["same"]) == ("mae", "-0.5", True, False)
    assert both["predictions"] is None
    shown = CliRunner().invoke(app, ["models", "compare", "bikes", A, "2011-07"]).stdout
    assert f"first: {A} was refused" in shown
    assert "Metrics: 1 of 1 differs" in shown
    assert "Metrics: the same" in CliRunner().invoke(app, ["models", "compare", "bikes", A, B]).stdout
    assert "golden" in run("compare", "bikes", A, B, "--predict", exit_code=1)["error"]


@pytest.mark.parametrize(
    ("variables", "page"),
    [
        ({"EVERGREEN_UI": "http://127.0.0.1:8080/"}, "http://127.0.0.1:8080/evergreen/models/bikes/"),
        (
            {"AIRFLOW__API__BASE_URL": "https://a.example/air"},
            "https://a.example/air/evergreen/models/bikes/",
        ),
    ],
)
def test_a_version_is_told_with_the_page_that_shows_its_card(
    registry: Registry, run: Run, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], page: str
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    listed = run("list", "bikes")
    assert listed["page"] == page
    assert listed["versions"][-1]["card"] == f"{page}models/{A}.html"
    assert run("show", "bikes", A)["card"] == f"{page}models/{A}.html"
    assert CliRunner().invoke(app, ["models", "list", "bikes"]).stdout.splitlines()[-1] == f"cards: {page}"


def test_without_a_ui_a_version_is_told_with_the_place_of_its_card(
    registry: Registry, run: Run, configured: Storage
):
    assert run("list", "bikes")["page"] == configured.uri("bikes/models")
    assert run("show", "bikes", A)["card"] == configured.uri(f"bikes/models/{A}/card.html")
