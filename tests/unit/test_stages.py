"""The list of stages, and that everything which knows stages reads it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from deploy.embedded.demo import dags_of
from evergreen.cli import app
from evergreen.lake import Table
from evergreen.spec import Alerts
from evergreen.stages import NIGHTLY, STAGES, stage_named, stage_of

ROOT = Path(__file__).resolve().parents[2]
NAMES = {stage.name for stage in STAGES}


def test_a_night_goes_from_ingest_to_monitor():
    assert [stage.name for stage in NIGHTLY] == ["ingest", "score", "monitor"]
    assert {stage.table for stage in NIGHTLY} <= {table.value for table in Table}


def test_a_dag_id_tells_pipeline_and_stage():
    for stage in STAGES:
        assert stage_of(stage.dag_id("bike_demand")) == ("bike_demand", stage)
        assert stage_named(stage.name) is stage
    with pytest.raises(KeyError):
        stage_of("bike_demand")


def test_each_stage_has_its_dag_file():
    files = {path.stem for path in (ROOT / "dags").glob("*.py")}
    assert files - {"broken_pipelines"} == NAMES


def test_each_stage_has_its_command_unless_it_has_none():
    commands = [command.name for command in app.registered_commands]
    assert [name for name in commands if name in NAMES] == [stage.name for stage in STAGES if stage.command]


def test_alerts_limit_the_stages_that_may_be_limited():
    for stage in STAGES:
        if stage.limited:
            assert Alerts(limits={stage.name: "1 hour"}).limits == {stage.name: timedelta(hours=1)}
        else:
            with pytest.raises(ValidationError, match="must be one of ingest, score, monitor, train"):
                Alerts(limits={stage.name: "1 hour"})


def test_the_demo_unpauses_the_dags_that_every_pipeline_has():
    assert dags_of("iris") == ["iris_ingest", "iris_score", "iris_monitor", "iris_train", "iris_maintain"]


def lists_of_names(tree: ast.AST) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            parts = node.elts
        elif isinstance(node, ast.Dict):
            parts = [key for key in node.keys if key is not None]
        else:
            continue
        words = {part.value for part in parts if isinstance(part, ast.Constant)}
        if len(words & NAMES) > 1:
            yield node


def test_nobody_keeps_a_list_of_stages_beside_this_one():
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for folder in ("include/evergreen", "plugins", "dags", "deploy", "benchmarks")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in lists_of_names(ast.parse(path.read_text()))
    ]
    assert found == []
