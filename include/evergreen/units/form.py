"""The form in which a value is written, for the JSON Schema of a description and for its reference."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

Schema = dict[str, Any]


def form(title: str, schema: Schema, example: Any) -> WithJsonSchema:
    """What of a type is in the JSON Schema: its name for people, how it is written, an example."""
    return WithJsonSchema({"title": title, **schema, "examples": [example]})


def matching(pattern: re.Pattern[str] | str, unless: str = "") -> Schema:
    """The schema of a text that is the pattern as a whole, and does not begin with what `unless` is."""
    whole = pattern if isinstance(pattern, str) else pattern.pattern
    return {"type": "string", "pattern": f"^{unless}(?:{whole})$"}


def of_any(*schemas: Schema) -> Schema:
    """The schema of what is written in one of several ways."""
    return {"anyOf": [*schemas]}


def whole_number(low: int, high: int | None = None) -> Schema:
    """The schema of a whole number of these bounds, which are included."""
    return {"type": "integer", "minimum": low, **({} if high is None else {"maximum": high})}


@dataclass(frozen=True)
class Text:
    """A text that is of a form: pydantic would show the pattern, a person is helped by `words`."""

    title: str
    pattern: str
    words: str
    example: str

    def check(self, value: str) -> str:
        """The value; raises `ValueError` for one of another form."""
        if not re.fullmatch(self.pattern, value):
            raise ValueError(self.words)
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> Schema:
        return {"title": self.title, **matching(self.pattern), "examples": [self.example]}


@dataclass(frozen=True, eq=False)
class OneOfNames:
    """A text that is one of the names of a registry, which are looked up when a schema is made."""

    title: str
    names: Collection[str]

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> Schema:
        known = list(self.names)
        return {"title": self.title, "type": "string", "enum": known, "examples": known[:1]}
