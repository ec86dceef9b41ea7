"""The JSON Schema says what the models say."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter, ValidationError

from evergreen import units
from evergreen.description import read_mapping
from evergreen.spec import Spec
from evergreen.spec.schema import pipeline_schema

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = pipeline_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
Place = tuple[str | int, ...]

MOST = """
name: everything
description: Every part of a description, as far as they go together
owner: us
schedule: "0 2 * * *"
start: 2024-01-01
partition: daily
timezone: Europe/Berlin
sources:
  asked:
    postgres:
      conn_id: shop
      table: orders
      time_column: ordered_at
      types: {price: "decimal(12, 2)", ordered_at: time %d.%m.%Y %H:%M in Europe/Berlin}
      outside: quarantine
      columns: [ordered_at, price, clerk]
      timeout: 5 minutes
      changed: {column: updated_at, within: 10 days, overlap: 0 seconds, key: [order]}
    complete: {sql: sql/complete.sql, every: 1 minute, within: 2 hours}
  paged:
    http:
      conn_id: weather
      path: "/v1/{station}"
      method: POST
      headers: {Accept: text/csv}
      body: {day: "{partition}"}
      for_each: {station: [1, 2]}
      parallel: 2
      timezone: UTC
      rate: 5 per second
      records: a.b
      total: meta.total
      paging: {page: {in: body, param: page, first: 0, size_param: size, size: 10, more: more}}
      max_bytes: 1 GB
    complete: {field: done, path: /v1/done, params: {day: "{partition}"}, equals: true}
  filed:
    file:
      path: "days/{partition:%Y/%m/%d}.csv"
      time_column: {from: {year: y, month: m, day: d}, name: at, zone: UTC}
      csv: {encoding: cp1252, delimiter: ";", quote: null, nulls: [NA, -1], decimal: ",", thousands: "."}
    complete: {file: "days/{partition}.done"}
  sheets: {file: {path: clerks.xlsx, excel: {sheet: 2, range: "B3:F"}, row_number: row}}
  short: {http: {conn_id: weather, path: "/{partition}", next: cursor}}
  lake: {delta: {path: s3://lake/orders, version: 3, conn_id: lake}}
  ice: {iceberg: {conn_id: catalog, table: shop.events, snapshot_id: 7}}
join:
  - {left: asked, right: paged, on: clerk, how: inner, expect: many_to_one}
  - {left: asked, right: filed, on: [clerk, shop]}
  - {left: asked, right: sheets, on: {clerk: name}}
  - {left: asked, right: short, on: clerk}
  - {left: asked, right: lake, on: clerk}
  - {left: asked, right: ice, on: clerk}
key: [order]
validation: {suite: expectations.yaml, max_quarantined: 0.1, schema_change: evolve}
features: {function: "features.py:build", look_back: 28 days}
task: classification
target: returned
positive: true
labels: {source: {sql: {conn_id: shop, sql: sql/labels.sql}}, delay: 30 days}
training:
  window: since change, at most 24 months
  minimum: 30
  holdout: 28 days
  metric: roc_auc
  weight: units
  balance: true
  recency: half-life 60 days
  calibrate: isotonic
  decision: {costs: {false_negative: 5, false_positive: 1}}
  seed: 3
  schedule: "0 4 * * 0"
  candidates:
    - estimator: sklearn.linear_model.LogisticRegression
      params: {max_iter: 100}
      preprocess:
        - sklearn.impute.SimpleImputer
        - {step: sklearn.preprocessing.StandardScaler, params: {with_mean: false}, columns: numbers}
      search: {C: [0.01, 100, log], penalty: {choices: [l1, l2]}}
      recency: none
    - {estimator: sklearn.ensemble.RandomForestClassifier, search: default}
    - pretrained:
        key: models/one.onnx
        sha256: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
  tuning: {trials: 5, within: 30 minutes, folds: 4, gap: 1 day}
gate:
  limits: {roc_auc: {min: 0.7}}
  champion: {test: superiority, margin: 1%, confidence: 90%, rounds: 500, block: 7 days}
  slices: [shop, {column: clerk, margin: 5%, minimum: 10, required: [anna, 1, true]}]
  fairness:
    - {column: region, rate: tpr, positive: true, min_ratio: 80%}
    - {column: region, metric: accuracy, max_difference: 0.1, minimum: 20}
  calibration: 0.05
  resources: {latency: {row: 5, thousand_rows: 50}, size: 50 MB, memory: 1 GB}
  approval: {when: inconclusive, within: 2 days, by: [ada]}
  shadow: 1000 rows
monitoring:
  metrics: [accuracy]
  health: {volume: 30%, quarantined: 1%, missing: 2 partitions, age: 12 months}
  retrain:
    on: [performance, drift, coverage]
    when: 2 of 3 partitions
    cooldown: 5
    budget: 6 per 3 months
    refusals: 2
    half_open: 30 days
  performance: {tolerance: 20%, over: 5 partitions, cusum: {k: 0.5, h: 8}, slices: [shop]}
  bias: {k: 2%, h: 1, unseen: 10%}
  coverage: {tolerance: 25%, run_length: 5 years}
  drift: {reference: trailing, false_discovery: 1%, rows: 9, trailing: 9 days, share: 50%, psi: 1, joint: 0.7}
  renewal: {unseen: 30%, gain: 1%}
  skew: {inputs: 1%, predictions: 0}
  staleness: {unseen: 20%}
scoring: {conn_id: shop, table: predictions}
serving:
  look_back: {conn_id: shop, max_age: 2 days, stale: allow}
  log: {share: 5%, keep: 30 days, drop: [email]}
  shadow: newest
explain: 3
sets: [90%, 0.99]
models: {signing: keys, require_signature: true, retention: 12 months}
mlflow: {conn_id: mlflow, experiment: returns}
reports: {to: [mail]}
alerts: {to: [{conn_id: mail, at_least: info}], deadline: "06:00", limits: {ingest: 1 hour}}
"""

OTHERS = """
name: others
description: What excludes keys of the other description
owner: us
schedule: "@daily"
start: 2024-01-01
partition: weekly
week_starts: sunday
sources:
  cursor:
    http:
      conn_id: shop
      path: /orders
      params: {week: "{partition}"}
      time_column: {from: {date: day, hour: h, minute: m, second: s}}
      format: json
      paging: {cursor: {in: header, param: cursor, path: meta.next}}
      max_pages: 10
      timeout: 1 hour
  offset: {http: {conn_id: s, path: "/{partition}", paging: {offset: {param: o, limit_param: l, limit: 9}}}}
  link: {http: {conn_id: shop, path: "/{partition}", paging: {link: {path: next}}}}
  header: {http: {conn_id: shop, path: "/{partition}", paging: {header: {more: more}}}}
  csv:
    http:
      conn_id: shop
      path: "/{partition}"
      format: csv
      csv: {quote: "'", comment: "#", skip: 1, columns: [at]}
  file: {file: {path: "s3://bucket/{partition}", conn_id: s3, format: csv, delimiter: ";"}}
  ice: {iceberg: {path: "s3://bucket/{partition}", columns: [at]}}
join:
  - {left: cursor, right: offset, on: at}
  - {left: cursor, right: link, on: at}
  - {left: cursor, right: header, on: at}
  - {left: cursor, right: csv, on: at}
  - {left: cursor, right: file, on: at}
  - {left: cursor, right: ice, on: at}
features:
  sets: [shared]
  lookups:
    s: {pipeline: stations, on: {station: id}, columns: [docks], known_at: at, max_age: 7 days}
task: regression
target: sold
intervals: {levels: [90%, 0.99], adapt: true}
training:
  metric: mae
  candidates: [{estimator: sklearn.linear_model.Ridge, target_transform: log1p}]
gate: {limits: {mae: {max: 10}}, approval: {when: always}}
"""


def as_json(content: Any) -> Any:
    """What an editor sees: in JSON a date is a text."""
    return json.loads(json.dumps(content, default=str))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pipelines")
    for name, text in {"most": MOST, "others": OTHERS, "stations": "target: docks"}.items():
        (folder / name).mkdir()
        (folder / name / "pipeline.yaml").write_text(text)
    return folder


@pytest.fixture(scope="module")
def descriptions(folder: Path) -> list[dict[Any, Any]]:
    return [read_mapping(folder / name / "pipeline.yaml") for name in ("most", "others")]


def is_read(folder: Path, content: Any) -> bool:
    """Whether the models accept a description."""
    try:
        Spec.model_validate({**content, "folder": folder / "any"})
    except ValidationError:
        return False
    return True


def places(content: Any, at: Place = ()) -> Iterator[tuple[Place, Any]]:
    """All values, each with its place."""
    yield at, content
    inside = (
        content.items()
        if isinstance(content, dict)
        else enumerate(content)
        if isinstance(content, list)
        else ()
    )
    for key, value in inside:
        yield from places(value, (*at, key))


def changed(content: Any, at: Place, value: Any) -> Any:
    """The description with another value at a place."""
    if not at:
        return value
    made = copy.copy(content)
    made[at[0]] = changed(made[at[0]] if len(at) > 1 else None, at[1:], value)
    return made


def accepts(content: Any, at: Place) -> bool:
    """Whether the schema accepts a description that differs at a place from one that it accepts.

    Only the key that differs is looked at, and of the sources the one that does: the others are as they were.
    """
    if not at:
        return VALIDATOR.is_valid(as_json(content))
    needed = {key: content[key] for key in (*SCHEMA["required"], at[0])}
    if at[0] == "sources" and len(at) > 1:
        needed["sources"] = {at[1]: content["sources"][at[1]]}
    elif at[0] != "sources":
        needed["sources"] = dict([next(iter(content["sources"].items()))])
    return VALIDATOR.is_valid(as_json(needed))


FREE = {"params", "search", "required", "body", "positive", "equals"}
"""Keys that hold any value, or mappings of them."""
OWN_NAMES = {"headers", "types", "on", "for_each", "sources", "lookups"}
"""Keys whose mapping has names of a person's choice."""
NOT_THERE = {"threshold", "group"}
"""Keys that neither description has."""


def test_the_schema_is_valid() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_both_accept_descriptions_with_every_key(folder: Path, descriptions: list[dict[Any, Any]]) -> None:
    for content in descriptions:
        Spec.model_validate({**content, "folder": folder / "any"})
        assert [error.message for error in VALIDATOR.iter_errors(as_json(content))] == []
    there = {key for content in descriptions for place, _ in places(content) for key in place}
    keys = {name for part in [SCHEMA, *SCHEMA["$defs"].values()] for name in part.get("properties", {})}
    assert keys - there == NOT_THERE


def test_both_refuse_a_key_that_there_is_not(folder: Path, descriptions: list[dict[Any, Any]]) -> None:
    for content in descriptions:
        for place, value in places(content):
            if not isinstance(value, dict) or FREE & set(place) or OWN_NAMES & set(place[-1:]):
                continue
            wrong = changed(content, (*place, "no_such_key"), 1)
            assert not accepts(wrong, place), place
            assert not is_read(folder, wrong), place


def test_both_refuse_a_value_of_another_type(folder: Path, descriptions: list[dict[Any, Any]]) -> None:
    seen = set()
    for content in descriptions:
        for place, value in places(content):
            if isinstance(value, dict | list) or FREE & set(place) or place[-2:] in seen:
                continue
            seen.add(place[-2:])
            wrong = changed(content, place, [[{}]])
            assert not accepts(wrong, place), place
            assert not is_read(folder, wrong), place


@pytest.mark.parametrize(
    "file", sorted(ROOT.glob("**/pipelines/*/pipeline.yaml")), ids=lambda file: file.parent.name
)
def test_the_schema_accepts_the_descriptions_of_the_repository(file: Path) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(as_json(read_mapping(file)))] == []


@pytest.mark.parametrize("target", [["a", "b"], {"a": None, "b": {"gate": {"limits": {"mae": {"max": 1}}}}}])
def test_the_schema_accepts_several_targets(descriptions: list[dict[Any, Any]], target: Any) -> None:
    assert VALIDATOR.is_valid(as_json({**descriptions[1], "target": target}))


def test_the_schema_refuses_what_no_target_changes(descriptions: list[dict[Any, Any]]) -> None:
    assert not VALIDATOR.is_valid(as_json({**descriptions[1], "target": {"a": {"schedule": "0 1 * * *"}}}))


PARTS = [
    *(
        "0",
        "1",
        "28",
        "1000000",
        " ",
        "day",
        "days",
        "partitions",
        "months",
        "%",
        ".5",
        "100",
        " per ",
        " of ",
    ),
    *(
        "since change",
        ", at most ",
        "half-life ",
        "none",
        " MB",
        " rows",
        "0 days",
        "3 months",
        "06:00",
        "24:00",
    ),
]
"""Parts of what people write in units."""
LOOSER = {"Age", "Frequency", "Levels"}
"""Units of which a schema cannot say all: the most months, that 3 of 2 is too many, that levels differ."""
UNITS = {
    name: TypeAdapter(getattr(units, name))
    for name in (
        *("Age", "AnyLength", "Duration", "Frequency", "HoldOut", "Levels", "Partitions", "Recency"),
        *("RetrainBudget", "RowCount", "Share", "Size", "SomeLength", "TimeOfDay", "Tolerance", "Window"),
    )
}
FORMS = {name: Draft202012Validator(unit.json_schema()) for name, unit in UNITS.items()}
TEXTS = st.lists(st.sampled_from(PARTS), min_size=1, max_size=4).map("".join)
NUMBERS = st.integers(-2, 10**6) | st.floats(-0.5, 2).filter(lambda number: not number.is_integer())


@given(TEXTS | NUMBERS)
def test_a_unit_is_read_where_its_form_matches(value: str | float) -> None:
    for name, unit in UNITS.items():
        if is_valid(unit, value):
            assert FORMS[name].is_valid(value), name
        elif name not in LOOSER:
            assert not FORMS[name].is_valid(value), name


def is_valid(unit: TypeAdapter[Any], value: object) -> bool:
    try:
        unit.validate_python(value)
    except ValidationError:
        return False
    return True
