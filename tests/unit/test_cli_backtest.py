"""The command `backtest`: its document, its page, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from evergreen.cli import app
from evergreen.storage import Storage

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
  holdout: 2 days
  minimum: 9 partitions
  candidates:
    - {estimator: sklearn.linear_model.Ridge}
"""
STRETCH = ("daily", "--from", "2011-01-10", "--to", "2011-01-16")
Run = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path, configured: Storage, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pipeline of six rows a day, with sixteen days in its source."""
    folder = tmp_path / "pipelines" / "daily"
    folder.mkdir(parents=True)
    (folder / "pipeline.yaml").write_text(DAILY)
    (folder / "expectations.yaml").write_text("- expect_column_values_to_not_be_null: {column: y}\n")
    draw = np.random.default_rng(3)
    for day in range(1, 17):
        rows = [
            f"2011-01-{day:02d}T{hour:02d}:00:00Z,{x:.3f},{2 * x + draw.normal():.3f}\n"
            for hour, x in zip(range(0, 24, 4), draw.normal(size=6), strict=True)
        ]
        (folder / f"2011-01-{day:02d}.csv").write_text("at,x,y\n" + "".join(rows))
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(tmp_path / "pipelines"))
    monkeypatch.setenv("EVERGREEN_HOME", str(tmp_path / "home"))
    return folder


@pytest.fixture
def run() -> Run:
    """Runs `evergreen backtest`."""

    def call(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["backtest", *arguments])

    return call


def test_it_ingests_what_is_missing_and_compares_policies(folder: Path, run: Run, tmp_path: Path) -> None:
    result = run(*STRETCH, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert {name: document[name] for name in ("pipeline", "from", "to")} == {
        "pipeline": "daily",
        "from": "2011-01-10",
        "to": "2011-01-16",
    }
    columns = {"policy", "metric", "value", "trainings", "promotions", "refusals", "seconds"}
    columns |= {"fit_seconds", "predict_seconds", "measure_seconds", "false_alarms", "delays", "decisions"}
    assert all(columns <= set(policy) for policy in document["policies"])
    configured, never, weekly = document["policies"]
    assert [policy["policy"] for policy in (configured, never, weekly)] == ["configured", "never", "every 7"]
    assert (never["metric"], never["trainings"], never["promotions"]) == ("mae", 1, 1)
    assert 0 < never["value"] < 2
    assert never["decisions"][0]["kind"] == "first"
    assert list(never["by_partition"]) == [f"2011-01-{day}" for day in range(10, 17)]
    page = Path(document["report"])
    assert page == tmp_path / "home" / "backtest" / "reports" / "daily_2011-01-10_2011-01-16.html"
    assert "daily: backtest" in page.read_text()


def test_further_metrics_are_those_of_all_rows(folder: Path, run: Run) -> None:
    text = DAILY + "monitoring: {metrics: [rmse, r2, mae]}\n"
    (folder / "pipeline.yaml").write_text(text)
    chosen = (*STRETCH, "--policy", "never", "--policy", "configured")
    policies = json.loads(run(*chosen, "--json").stdout)["policies"]
    for policy in policies:
        assert list(policy["metrics"]) == ["rmse", "r2"]
        assert policy["metrics"]["rmse"] > policy["value"]
        assert 0 < policy["metrics"]["r2"] < 1
    shown = run(*chosen)
    assert "rmse" in shown.stdout


def test_policies_variants_and_known_changes_are_chosen(folder: Path, run: Run, tmp_path: Path) -> None:
    file, page = tmp_path / "variants.yaml", tmp_path / "deep" / "page.html"
    file.write_text("calm: {performance: {tolerance: 300%}, retrain: {on: [performance]}}\n")
    chosen = ("--policy", "never", "--policy", "every 3", "--policy", "never", "--variants", str(file))
    result = run(*STRETCH, *chosen, "--drift-at", "2011-01-14", "--report", str(page), "--json")
    assert result.exit_code == 0, result.output
    policies = json.loads(result.stdout)["policies"]
    assert [policy["policy"] for policy in policies] == ["never", "every 3", "calm"]
    assert [policy["trainings"] for policy in policies] == [1, 3, 1]
    assert [policy["delays"] for policy in policies] == [None, None, {"2011-01-14": None}]
    assert policies[2]["false_alarms"] == 0
    assert "calm" in page.read_text()


def test_tuning_prints_what_to_paste(folder: Path, run: Run) -> None:
    result = run(*STRETCH, "--tune", "--trials", "2", "--tune-to", "2011-01-13", "--policy", "never")
    assert result.exit_code == 0, result.output
    said = " ".join(result.stdout.split())
    assert "searched on 2011-01-10 to 2011-01-16 in 2 trials" in said
    assert "2011-01-14 to 2011-01-14, 2011-01-15 to 2011-01-16, each with the setting found" in said
    assert "in sample" in said
    assert "monitoring:" in said or "nothing was better" in said
    document = json.loads(run(*STRETCH, "--tune", "--trials", "2", "--policy", "never", "--json").stdout)
    assert len(document["tuned"]["trials"]) == 3
    assert document["tuned"]["to"] == "2011-01-16"
    assert [split["until"] for split in document["tuned"]["splits"]] == ["2011-01-13", "2011-01-14"]
    page = Path(document["report"]).read_text()
    assert page.count("<td>in sample</td>") == page.count("<td>out of sample</td>") == 2
    worth = [(one["where"], one["policy"]) for one in document["tuned"]["worth"]]
    assert worth == [(w, p) for w in ("in sample", "out of sample") for p in ("tuned", "configured")]
    assert {policy["policy"] for policy in document["policies"]} >= {"configured", "never"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--policy", "sometimes"), "no policy 'sometimes': write 'configured', 'never', or 'every 7'"),
        (("--variants", "nowhere.yaml"), "nowhere.yaml: cannot be read"),
        (("--tune", "--tune-to", "2011-01-16"), "choose another --tune-to"),
    ],
)
def test_a_failure_is_one_line(folder: Path, run: Run, arguments: tuple[str, ...], said: str) -> None:
    result = run(*STRETCH, *arguments)
    shown = result.stderr or result.stdout
    assert said in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize("option", ["--drift-at", "--tune-to"])
def test_a_wrong_key_is_wrong_usage(folder: Path, run: Run, option: str) -> None:
    result = run(*STRETCH, option, "soon")
    assert (result.exit_code, result.stdout) == (2, "")
