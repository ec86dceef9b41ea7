"""The JSON Schema of `expectations.yaml`, for editors: made from Great Expectations' own models."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from evergreen.spec.schema import DIALECT, AsWritten
from evergreen.validation.history import OPAQUE, Limit
from evergreen.validation.suite import SEVERITIES, expectations

_NOT_WRITTEN = {
    *("batch_id", "catch_exceptions", "id", "library_metadata", "meta", "metadata", "rendered_content"),
    *("result_format", "severity", "windows"),
}
"""Fields of an expectation that a suite has no use for, or writes elsewhere."""
_SEVERITY = {
    "description": "critical (the default) refuses the partition, warning sends the rows that break it to "
    "quarantine, info is reported.",
    "enum": list(SEVERITIES),
    "default": SEVERITIES[0],
}
_LIMIT = {"$ref": "#/$defs/limit"}
_TEXT = {"type": "string"}


def suite_schema() -> dict[str, Any]:
    """What an `expectations.yaml` may say, as JSON Schema.

    Names and arguments are those that Great Expectations has; wherever one takes a number, it may be a limit
    by history. Arguments that its models alone refuse, such as a `min_value` above the `max_value`, are told
    by `evergreen check`. Imports Great Expectations, which takes seconds.
    """
    kinds = {name: json.loads(kind.schema_json()) for name, kind in sorted(expectations().items())}
    parts = {name: part for kind in kinds.values() for name, part in kind.get("definitions", {}).items()}
    defs = {name: _written(part, opaque=name not in _OF_NUMBERS) for name, part in sorted(parts.items())}
    arguments = {name: _arguments(kind) for name, kind in kinds.items()}
    entry = {
        "type": "object",
        "properties": {**arguments, "severity": _SEVERITY},
        "additionalProperties": False,
        "oneOf": [
            {"required": ["severity"], "minProperties": 2, "maxProperties": 2},
            {"not": {"required": ["severity"]}, "minProperties": 1, "maxProperties": 1},
        ],
    }
    limit = Limit.model_json_schema(schema_generator=AsWritten)
    return {
        "$schema": DIALECT,
        "title": "expectations.yaml",
        "description": "The expectations of a pipeline, after those on its key.",
        "type": "array",
        "items": entry,
        "$defs": {**_referred(arguments, defs), "limit": limit},
    }


_OF_NUMBERS = {"QuantileRange"}
"""Parts of arguments in which a number may be a limit by history."""


def _arguments(kind: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of an expectation, without what a suite does not write."""
    required = kind.get("required", [])
    own = {
        name: _argument(name, described, required=name in required)
        for name, described in kind["properties"].items()
        if name not in _NOT_WRITTEN
    }
    return {
        "description": _first_paragraph(kind["description"]),
        "type": "object" if required else ["object", "null"],
        "properties": own,
        "required": required,
        "additionalProperties": False,
    }


def _argument(name: str, described: Mapping[str, Any], *, required: bool) -> dict[str, Any]:
    said = _first_paragraph(described.get("description", ""))
    default = {"default": described["default"]} if "default" in described else {}
    rest = {key: value for key, value in described.items() if key not in ("description", "default")}
    written = _TEXT if name == "row_condition" else _written(rest, opaque=name in OPAQUE)
    if not required:
        written = {"anyOf": [*_choices(written), {"type": "null"}]}
    return {**({"description": said} if said else {}), **default, **written}


def _written(part: dict[str, Any], *, opaque: bool) -> dict[str, Any]:
    """A part as a suite has it: where there is a number there may be a limit, unless it is `opaque`.

    Great Expectations takes any mapping for a parameter, which a suite has not.
    """
    if "oneOf" in part:  # lists of texts or of numbers, for forms of its own: any list is taken
        return {"type": "array"}
    if "$ref" in part:
        return {"$ref": part["$ref"].replace("#/definitions/", "#/$defs/")}
    kept = {key: value for key, value in part.items() if key not in ("title", "multipleOf", "examples")}
    if "anyOf" in kept:
        given = [one for one in kept["anyOf"] if one != {"type": "object"} or opaque]
        kept["anyOf"] = _once(choice for one in given for choice in _choices(_written(one, opaque=opaque)))
        return kept
    if kept.get("type") in ("number", "integer") and not opaque:
        return {"anyOf": [kept, _LIMIT]}
    if isinstance(kept.get("items"), list):  # of a pair; a newer dialect has another word for it
        kept["prefixItems"] = [_written(one, opaque=opaque) for one in kept.pop("items")]
    return {key: _inner(key, value, opaque=opaque) for key, value in kept.items()}


def _inner(key: str, value: Any, *, opaque: bool) -> Any:
    """What stands in a schema at a key that holds other schemas, or any value of another key."""
    if key == "properties":
        return {name: _written(one, opaque=opaque or name == "quantiles") for name, one in value.items()}
    return _written(value, opaque=opaque) if key == "items" else value


def _once(choices: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for one in choices:
        if one not in found:
            found.append(one)
    return found


def _choices(written: dict[str, Any]) -> list[Any]:
    return list(written["anyOf"]) if set(written) == {"anyOf"} else [written]


def _referred(part: Any, defs: Mapping[str, Any]) -> dict[str, Any]:
    """The definitions that a part refers to, itself or by another."""
    found: dict[str, Any] = {}
    waiting = list(_names(part))
    while waiting:
        name = waiting.pop()
        if name in defs and name not in found:
            found[name] = defs[name]
            waiting += _names(defs[name])
    return dict(sorted(found.items()))


def _names(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"].rpartition("/")[2]
        for value in part.values():
            yield from _names(value)
    elif isinstance(part, list):
        for value in part:
            yield from _names(value)


def _first_paragraph(text: str) -> str:
    return " ".join(inspect.cleandoc(text).partition("\n\n")[0].split())
