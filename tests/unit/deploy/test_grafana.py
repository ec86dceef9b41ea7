"""Dashboard and alert rules name figures that there are, by tags that those have, and know when to alert."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from evergreen.serving.meters import Meters
from evergreen_airflow.figures import FIGURES

FOLDER = Path(__file__).resolve().parents[3] / "deploy" / "grafana"
DASHBOARD = json.loads((FOLDER / "evergreen.json").read_text())
RULES = yaml.safe_load((FOLDER / "alerts.yaml").read_text())
TAGS = {f"airflow_{one.name}".replace(".", "_"): {"pipeline", *one.tags} for one in FIGURES}
"""The labels of every figure by its name in Prometheus, which gets no suffix from a gauge without a unit."""
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def in_panels() -> list[str]:
    return [target["expr"] for panel in PANELS for target in panel["targets"]]


def in_rules() -> list[str]:
    return [rule["expr"] for group in RULES["groups"] for rule in group["rules"]]


def selectors(expression: str) -> Iterator[tuple[str, set[str]]]:
    """The names of metrics in an expression of PromQL, with the labels that they are selected by."""
    for found in re.finditer(r"\b((?:airflow_)?evergreen_\w+)(?:\{([^}]*)\})?", expression):
        yield found[1], set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", found[2] or ""))


def served() -> set[str]:
    """What a server of predictions exposes, as Prometheus names its samples."""
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", Meters(list).read().decode(), re.MULTILINE))
    buckets = {f"{name}_bucket" for name, kind in kinds.items() if kind == "histogram"}
    return {*kinds, *buckets}


def test_every_figure_has_a_panel_and_no_panel_another_one() -> None:
    named = {name for expression in in_panels() for name, _ in selectors(expression)}
    assert named >= set(TAGS)
    assert named <= set(TAGS) | served()


def test_alert_rules_name_what_is_told() -> None:
    named = {name for expression in in_rules() for name, _ in selectors(expression)}
    assert named
    assert named <= set(TAGS) | served()


@pytest.mark.parametrize("expression", [*in_panels(), *in_rules()])
def test_an_expression_has_the_labels_of_its_figures(expression: str) -> None:
    labels: set[str] = set()
    for name, selected in selectors(expression):
        if name in TAGS:
            assert selected <= TAGS[name]
        labels |= TAGS.get(name, set())
    if labels:
        grouped = re.findall(r"\b(?:by|on) \(([^)]*)\)", expression)
        # `instance` is of the process that told the figure.
        assert {label for found in grouped for label in found.split(", ")} <= {*labels, "instance"}


def test_every_panel_can_be_narrowed_to_a_pipeline() -> None:
    for expression in in_panels():
        assert all("pipeline" in selected for _, selected in selectors(expression)), expression
    assert [one["name"] for one in DASHBOARD["templating"]["list"]] == ["datasource", "pipeline"]


def test_panels_do_not_overlap_and_have_ids_of_their_own() -> None:
    cells: dict[tuple[int, int], Any] = {}
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        for cell in [(at["x"] + i, at["y"] + j) for i in range(at["w"]) for j in range(at["h"])]:
            assert cells.setdefault(cell, panel["id"]) == panel["id"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool: Debian has it in `prometheus`")
def test_prometheus_alerts_as_it_should() -> None:
    file = Path(__file__).parent / "alerts_by_promtool.yaml"
    found = subprocess.run(["promtool", "test", "rules", file], check=False, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr
