"""Every description in docs/how-to/training.md is one that works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from evergreen.candidates.estimators import ESTIMATOR_MODULES, PREPROCESS_MODULES, check_candidates
from evergreen.candidates.search import parse_search
from evergreen.registry.trusted_types import allowed_estimators
from evergreen.spec import parse_spec

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "training.md").read_text()
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_description_is_read_and_its_candidates_can_be_built(make_spec, snapshot, block):
    shown = yaml.safe_load(block)
    base = yaml.safe_load(snapshot) if shown.get("partition") == "snapshot" else None
    folder = make_spec().folder
    content = base or yaml.safe_load((folder / "pipeline.yaml").read_text())
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(content | shown, sort_keys=False))
    spec = parse_spec(folder / "pipeline.yaml")
    check_candidates(spec)
    for candidate in spec.training.candidates:
        assert set(parse_search("page", candidate.search)) == set(candidate.search)


def test_the_page_shows_all_there_is():
    assert len(BLOCKS) == 8
    for module in ESTIMATOR_MODULES | PREPROCESS_MODULES:
        assert f"`{module.removeprefix('sklearn.')}`" in PAGE
    for key in (
        "weight",
        "balance",
        "recency",
        "within",
        "gap",
        "group",
        "pretrained",
        "target_transform",
        "columns",
    ):
        assert key in PAGE


def test_the_list_of_own_classes_is_read(tmp_path, monkeypatch):
    (text,) = re.findall(r"^```text\n(lightgbm.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    monkeypatch.setenv("EVERGREEN_PIPELINES", str(tmp_path))
    (tmp_path / "allowed_estimators.txt").write_text(text)
    assert allowed_estimators() == {
        "lightgbm.sklearn.LGBMRegressor",
        "lightgbm.basic.Booster",
        "my_models.Seasonal",
    }
