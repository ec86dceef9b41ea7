"""Every description in docs/how-to/labels.md is one that works, and its example of days is right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from evergreen.calendar import Length
from evergreen.labels.known import newest_known, newest_trained
from evergreen.spec import parse_spec
from tests.unit.labels.conftest import LENDER

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "labels.md").read_text()
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_description_is_read(tmp_path: Path, block: str) -> None:
    content = yaml.safe_load(LENDER.read_text()) | yaml.safe_load(block)
    (tmp_path / "lender").mkdir()
    (tmp_path / "lender" / "pipeline.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    spec = parse_spec(tmp_path / "lender" / "pipeline.yaml")
    assert spec.label_delay == Length(30)


def test_the_page_has_a_description_for_each_kind_of_source() -> None:
    assert [re.search(r"source: \{(\w+):", block)[1] for block in BLOCKS] == ["postgres", "http", "file"]  # type: ignore[index]


def test_the_days_of_the_example() -> None:
    spec = parse_spec(LENDER)
    assert spec.label_delay == Length(5)
    assert newest_known(spec, "2024-03-10") == "2024-03-05"
    assert newest_trained(spec, "2024-03-11") == "2024-03-05"
    assert newest_trained(spec, "2024-03-10") == "2024-03-04"
