"""Every description in docs/how-to/training.md is one that works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from evergreen.boosters.catalogue import BOOSTERS, REMEDY, boosters_of
from evergreen.candidates.default_search import search_of
from evergreen.candidates.estimators import ESTIMATOR_MODULES, PREPROCESS_MODULES, check_candidates
from evergreen.candidates.search import parse_search
from evergreen.metrics import metrics_of
from evergreen.registry.trusted_types import allowed_estimators
from evergreen.spec import load_spec, pipelines_of
from evergreen.task import Task

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "training.md").read_text()
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_description_is_read_and_its_candidates_can_be_built(make_spec, snapshot, block):
    shown = yaml.safe_load(block)
    base = yaml.safe_load(snapshot) if shown.get("partition") == "snapshot" else None
    folder = make_spec().folder
    content = base or yaml.safe_load((folder / "pipeline.yaml").read_text())
    described = content | shown | {"name": folder.name}
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(described, sort_keys=False))
    for name in pipelines_of(folder.name, folder.parent):
        spec = load_spec(name, folder.parent)
        for booster in boosters_of(spec.training):
            pytest.importorskip(booster.module, reason=f"not installed: {REMEDY}")
        check_candidates(spec)
        for candidate in spec.training.candidates:
            search = search_of("page", candidate)
            assert set(parse_search("page", search)) == set(search)


def test_the_page_shows_all_there_is():
    assert len(BLOCKS) == 13
    for module in ESTIMATOR_MODULES | PREPROCESS_MODULES:
        assert f"`{module.removeprefix('sklearn.')}`" in PAGE
    for path in (path for booster in BOOSTERS.values() for path in booster.paths):
        assert f"`{path}`" in PAGE
    for metric in metrics_of(Task.REGRESSION):
        assert not metric.on_request or f"`{metric.name}`" in PAGE
    for key in (
        "early_stopping_rounds",
        "monotone_constraints",
        "weight",
        "balance",
        "recency",
        "sample",
        "within",
        "gap",
        "group",
        "pretrained",
        "target_transform",
        "columns",
    ):
        assert key in PAGE


def test_the_list_of_own_classes_is_read(tmp_path, monkeypatch):
    (text,) = re.findall(r"^```text\n(my_models.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(tmp_path))
    (tmp_path / "allowed_estimators.txt").write_text(text)
    assert allowed_estimators() == {"my_models.Seasonal", "my_models.Phase"}
