"""The JSON Schema of `expectations.yaml`, by which editors complete and check it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from evergreen.description import read_yaml
from evergreen.validation.schema import suite_schema
from evergreen.validation.suite import expectations

ROOT = Path(__file__).resolve().parents[3]
SUITES = sorted(file for at in ("include", "tests") for file in (ROOT / at).glob("**/expectations.yaml"))
BLOCKS = [
    pytest.param(block, id=f"{page.name} {number}")
    for page in sorted((ROOT / "docs").glob("**/*.md"))
    for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL))
    if block.lstrip("#- ").startswith("expect_") or "\n- expect_" in block
]


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return suite_schema()


@pytest.fixture(scope="module")
def validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator(schema)


def errors(validator: Draft202012Validator, content: Any) -> list[str]:
    """What an editor says: in JSON a date is a text."""
    return [error.message for error in validator.iter_errors(json.loads(json.dumps(content, default=str)))]


def test_it_is_valid_and_has_every_expectation(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)
    assert set(schema["items"]["properties"]) == {*expectations(), "severity"}
    assert "#/definitions/" not in json.dumps(schema)


@pytest.mark.parametrize("file", SUITES, ids=lambda file: str(file.relative_to(ROOT)))
def test_it_accepts_the_suites_of_the_repository(validator: Draft202012Validator, file: Path) -> None:
    assert errors(validator, read_yaml(file)) == []


@pytest.mark.parametrize("block", BLOCKS)
def test_it_accepts_the_suites_of_the_pages(validator: Draft202012Validator, block: str) -> None:
    assert errors(validator, yaml.safe_load(block)) == []


@pytest.mark.parametrize(
    "file", sorted((ROOT / "include/pipelines").glob("*/*.yaml")), ids=lambda f: f.parent.name
)
def test_the_shipped_files_name_their_schema(file: Path) -> None:
    named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", file.read_text())
    kind = "pipeline" if file.name == "pipeline.yaml" else "expectations"
    assert named
    assert (file.parent / named[1]).resolve() == ROOT / "docs" / "reference" / f"{kind}.schema.json"


BETWEEN = "expect_column_values_to_be_between"


@pytest.mark.parametrize(
    "written",
    [
        "- expect_column_to_exist: {column: x}",
        f"- {BETWEEN}: {{column: x, min_value: 2024-01-01, max_value: null}}\n  severity: info",
        f"- {BETWEEN}: {{column: x, max_value: {{last: 28 partitions, of: quantile 0.5, times: 2}}}}",
        f"- {BETWEEN}: {{column: x, min_value: 0, mostly: 0.999}}",
        "- expect_column_values_to_be_in_set: {column: x, value_set: [1, a, null, true]}",
        "- expect_column_quantile_values_to_be_between:\n"
        "    column: x\n"
        "    quantile_ranges: {quantiles: [0.5], value_ranges: [[{last: 7, of: mean}, 9]]}",
    ],
)
def test_it_accepts(validator: Draft202012Validator, written: str) -> None:
    assert errors(validator, yaml.safe_load(written)) == []


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (f"- {BETWEEN}: {{column: x, minimum: 1}}", "'minimum' was unexpected"),
        (f"- {BETWEEN}: {{min_value: 1}}", "'column' is a required property"),
        (f"- {BETWEEN}: {{column: x, mostly: 95}}", "95 is not valid"),
        (f"- {BETWEEN}: {{column: x, max_value: {{last: 28 days, of: mean}}}}", "is not valid"),
        (f"- {BETWEEN}: {{column: x, max_value: {{last: 28, of: median}}}}", "is not valid"),
        (f"- {BETWEEN}: {{column: x}}\n  severity: fatal", "'fatal' is not one of"),
        ("- expect_column_to_exists: {column: x}", "'expect_column_to_exists' was unexpected"),
        (f"- {BETWEEN}: {{column: x}}\n  expect_column_to_exist: {{column: x}}", "is not valid under any"),
        ("- severity: info", "is not valid under any"),
        ("expect_column_to_exist: {column: x}", "is not of type 'array'"),
        ("- expect_table_column_count_to_equal: {value: '1'}", "'1' is not valid"),
    ],
)
def test_it_refuses(validator: Draft202012Validator, written: str, said: str) -> None:
    assert said in " ".join(errors(validator, yaml.safe_load(written)))
