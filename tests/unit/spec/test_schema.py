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
from tests.unit.spec.everything import MOST, OTHERS

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = pipeline_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
Place = tuple[str | int, ...]


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
