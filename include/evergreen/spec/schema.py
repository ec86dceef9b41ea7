"""The JSON Schema of `pipeline.yaml`, for editors and the reference: made from the models that read it."""

from __future__ import annotations

import inspect
import re
from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from evergreen.spec.spec import Spec
from evergreen.spec.targets import SAME
from evergreen.units import written_duration

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def pipeline_schema() -> dict[str, Any]:
    """What a `pipeline.yaml` may say, as JSON Schema.

    The models know more than a schema can say, such as that a key needs another one, or which metrics a task
    has. What they accept it accepts too, except for numbers and booleans in quotes.
    """
    schema = Spec.model_json_schema(schema_generator=AsWritten)
    target, others = schema["properties"]["target"], schema["properties"].keys() - set(SAME)
    target["anyOf"] = [*target["anyOf"], *_several_targets(others)]
    return {"$schema": DIALECT, **schema, "title": "pipeline.yaml"}


def _several_targets(others: set[str]) -> list[dict[str, Any]]:
    """The forms of several targets: a list, or a mapping to what differs, which is checked when read."""
    differs = {
        "type": ["object", "null"],
        "properties": {name: {} for name in sorted(others)},
        "additionalProperties": False,
    }
    column = {"type": "string", "minLength": 1}
    return [
        {"type": "array", "items": column, "minItems": 1},
        {"type": "object", "additionalProperties": differs, "minProperties": 1},
    ]


class AsWritten(GenerateJsonSchema):
    """What people write: defaults in units, paragraphs in a line, no key that the file cannot have."""

    def field_is_present(self, field: Any) -> bool:
        """Without what is excluded from a dump: it follows from the place of the file."""
        return not field.get("serialization_exclude") and super().field_is_present(field)

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never: a title would repeat the key."""
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Without a default that is null or a mapping, whose own keys have theirs."""
        default = schema.get("default")
        if default is None or isinstance(default, BaseModel):
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def encode_default(self, dft: Any) -> Any:
        """Lengths and the like as a person writes them."""
        if isinstance(dft, timedelta):
            return re.sub(r"^(1 \w+)s$", r"\1", written_duration(dft))
        encoded = super().encode_default(dft)
        return str(dft) if isinstance(encoded, dict) and encoded else encoded

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """With the pattern of keys as a rule for every key."""
        made = super().dict_schema(schema)
        for pattern, values in made.pop("patternProperties", {}).items():
            made |= {"additionalProperties": values}
            made["propertyNames"] = {**made.get("propertyNames", {}), "pattern": pattern}
        return made

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """With the paragraphs of the model's description, each in one line."""
        made = super().model_schema(schema)
        if said := made.get("description"):
            paragraphs = inspect.cleandoc(said).split("\n\n")
            made["description"] = "\n\n".join(" ".join(one.split()) for one in paragraphs)
        return made
