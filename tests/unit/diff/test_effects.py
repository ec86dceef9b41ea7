"""What a change of a key touches is said of every key, and says of versions what their digests say."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from docs.keys import keys
from evergreen.calendar import Length
from evergreen.description import OneOf, read_mapping
from evergreen.diff import effects
from evergreen.diff.effects import Effect, effect_of
from evergreen.spec import Spec
from evergreen.spec.schema import pipeline_schema
from evergreen.training_set.digest import spec_digest
from tests.unit.spec.everything import MOST, OTHERS

Names = tuple[str, ...]
HOLDING = {"validation", "training", "gate", "monitoring", "serving", "models", "alerts"}
"""Keys that only hold others, always there: each of those below says what it touches."""


def test_every_key_says_what_it_touches() -> None:
    paths = [key.path.replace("[]", "") for key in keys(pipeline_schema())]
    without = []
    for path in paths:
        try:
            assert effect_of(tuple(path.split("."))).words
        except KeyError:
            without.append(path)
    assert set(without) == HOLDING


def test_a_key_below_one_that_stands_alone_needs_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyError, match=r"intervals\.new"):
        effect_of(("intervals", "new"))
    with pytest.raises(KeyError, match=r"gate\.new"):
        effect_of(("gate", "new"))
    assert effect_of(("training", "tuning", "new")) == effect_of(("training", "tuning"))


def test_no_entry_is_for_a_key_that_there_is_not() -> None:
    paths = {tuple(key.path.replace("[]", "").split(".")) for key in keys(pipeline_schema())}

    def fits(entry: Names) -> bool:
        return any(
            len(entry) == len(path) and all(one in ("*", name) for one, name in zip(entry, path, strict=True))
            for path in paths
        )

    assert [entry for entry in effects._entries() if not fits(entry)] == []


@pytest.mark.parametrize("text", [MOST, OTHERS], ids=["most", "others"])
def test_versions_change_by_the_keys_that_are_in_their_digest(text: str, tmp_path: Path) -> None:
    spec = described(text, tmp_path)
    before = spec_digest(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        told = {names: spec_digest(other) != before for names, other in with_another_value(spec)}
    assert len(told) > 100
    assert {names: is_in for names, is_in in told.items() if effect(names, spec).version != is_in} == {}


def described(text: str, folder: Path) -> Spec:
    for name, content in {"any": text, "stations": "target: docks"}.items():
        (folder / name).mkdir()
        (folder / name / "pipeline.yaml").write_text(content)
    return Spec.model_validate({**read_mapping(folder / "any" / "pipeline.yaml"), "folder": folder / "any"})


def effect(names: Names, spec: Spec) -> Effect:
    """The effect, where a time column that is not the rows' own is any column."""
    own = next(name for name, source in spec.sources.items() if source.time_column)
    return effect_of(("sources",) if names[3:] == ("time_column",) and names[1] != own else names)


def with_another_value(part: Any) -> Iterator[tuple[Names, Any]]:
    """The part once for each value in it, with another one there, and the names of the value's key."""
    if isinstance(part, BaseModel):
        fields = type(part).model_fields
        for name in (*fields, *(part.model_extra or {})):
            field = fields.get(name)
            if (field and field.exclude) or (isinstance(part, OneOf) and name == "kind"):
                continue
            own = (field and field.alias) or name
            own = part.kind if isinstance(part, OneOf) and name == "config" else own
            for names, value in with_another_value(getattr(part, name)):
                made = part.model_copy(update={name: value})
                made.__dict__.pop("time_column" if isinstance(part, Spec) else "", None)  # is kept
                yield (() if name == "question" else (own,)) + names, made
    elif isinstance(part, Mapping) and part:
        for name, inner in part.items():
            yield from (((str(name), *names), {**part, name: v}) for names, v in with_another_value(inner))
    elif isinstance(part, tuple) and any(isinstance(one, BaseModel) for one in part):
        for at, inner in enumerate(part):
            for names, value in with_another_value(inner):
                yield names, (*part[:at], value, *part[at + 1 :])
    else:
        yield (), another(part)


def another(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case timedelta():
            return value + timedelta(minutes=1)
        case date():
            return value + timedelta(days=1)
        case Length():
            return Length(value.count + 1, value.unit)
        case int() | float():
            return value + 1
        case tuple():
            return (*value, "another")
    return timedelta(minutes=1) if value is None else "another"
