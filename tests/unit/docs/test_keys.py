"""The reference of `pipeline.yaml` says something of every key."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from docs.keys import example, keys, kind, page
from evergreen.spec.schema import pipeline_schema

SCHEMA = pipeline_schema()
KEYS = list(keys(SCHEMA))


def test_every_key_is_described() -> None:
    assert [key.path for key in KEYS if not key.schema.get("description")] == []


def test_every_key_that_holds_a_value_has_an_example_that_is_read() -> None:
    for key in KEYS:
        shown = example(key)
        assert shown is not None or key.inside, key.path
        if shown is not None:
            Draft202012Validator({**key.schema, "$defs": SCHEMA["$defs"]}).validate(shown)


@pytest.mark.parametrize(
    ("path", "said", "default"),
    [
        ("training.tuning.folds", "a whole number, at least 2 and at most 50", 3),
        ("gate.champion.test", "`non_inferiority` or `superiority`", "non_inferiority"),
        ("alerts.to[].conn_id", "[a connection's id](#how-values-are-written)", None),
        ("training.metric", "[a metric](../metrics.md)", None),
        ("monitoring.coverage.run_length", "[a length above 0](#how-values-are-written)", "5 years"),
    ],
)
def test_what_is_said_of_a_key(path: str, said: str, default: object) -> None:
    key = next(one for one in KEYS if one.path == path)
    assert kind(key.schema) == said
    assert key.schema.get("default") == default


def test_a_key_is_required_where_the_model_has_no_default() -> None:
    required = {key.path for key in KEYS if key.required}
    assert {"name", "training.metric", "sources.<name>.http.path"} <= required
    assert not {"key", "gate", "training.seed", "sources.<name>.http"} & required


def test_a_row_says_path_type_default_meaning_and_example() -> None:
    row = next(line for line in page(SCHEMA).splitlines() if line.startswith("| `gate.resources.size`"))
    cells = ("`gate.resources.size`", "[a size](#how-values-are-written)", "")
    assert row == f"| {' | '.join(cells)} | The largest size of the model's file. | `size: 50 MB` |"
