"""What a version is asked and answers, as JSON Schema: the OpenAPI description of a server. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import pyarrow as pa

from evergreen.rows.texts import is_list
from evergreen.scoring.predict import apply_model
from evergreen.scoring.published import BASE, CONTRIBUTIONS, VERSION, level_names, published_columns
from evergreen.serving.arrow_answer import ERROR, published_schema
from evergreen.serving.served import Served

PREDICT = "/v1/pipelines/{pipeline}/predict"
"""Where rows are sent to."""

_EXAMPLES = {"number": 1.5, "integer": 1, "boolean": True, "string": "a"}
_DAY, _MOMENT = "2024-01-31", "2024-01-31T08:00:00Z"


def openapi(base: Mapping[str, Any], served: Sequence[Served]) -> dict[str, Any]:
    """The description of a server, with a path for each pipeline beside the one that stands for all."""
    document = deepcopy(dict(base))
    for one in served:
        path = deepcopy(base["paths"][PREDICT])
        post = path["post"]
        name = one.spec.name
        post |= {"summary": f"Predict rows of {name}", "operationId": f"predict_{name}"}
        post["parameters"] = [given for given in post.get("parameters", ()) if given["name"] != "pipeline"]
        content = post["requestBody"]["content"]["application/json"]
        content["schema"], content["example"] = body_schema(one), example(one)
        predicted = {"application/json": {"schema": answer_schema(one)}}
        post["responses"]["200"] = {"description": "The predictions", "content": predicted}
        document["paths"][PREDICT.format(pipeline=name)] = path
    return document


def body_schema(served: Served) -> dict[str, Any]:
    """The body of a request for predictions."""
    columns = {column.name: _or_null(json_type(column.type)) for column in served.types.schema}
    row = {
        "type": "object",
        "required": list(columns),
        "properties": columns | {target: {} for target in served.types.targets},
        "additionalProperties": False,
    }
    whole: dict[str, Any] = {"type": "boolean", "description": "whether no row is missing"}
    return {
        "type": "object",
        "required": ["rows"],
        "properties": {"rows": {"type": "array", "minItems": 1, "items": row}, "whole": whole},
        "additionalProperties": False,
    }


def answer_schema(served: Served) -> dict[str, Any]:
    """The answer to a request: a prediction or an error for each of its rows, and what they are of."""
    columns = {name: json_type(kind) for name, kind in said_types(served).items()}
    always = [*served.spec.keys, "prediction", VERSION]
    said = {"type": "object", "required": always, "properties": columns}
    error = {"type": "object", "required": [ERROR], "properties": {ERROR: {"type": "string"}}}
    return {
        "type": "object",
        "required": ["pipeline", "version", "predictions"],
        "properties": {
            "pipeline": {"const": served.spec.name},
            "version": {"type": "string"},
            "predictions": {"type": "array", "items": {"anyOf": [said, error]}},
            "look_back": {"type": "object"},
            "model_classes": {"type": "array"},
            "canary": {"type": "object"},
        },
    }


def said_types(served: Served) -> dict[str, pa.DataType]:
    """The type of each column that a prediction of the version has."""
    said = apply_model(served.spec, served.model.estimator, served.features)
    names = list(published_columns(served.spec, said))
    names += level_names(said.levels) if served.levels.adapt else []
    names += [CONTRIBUTIONS, BASE] if served.spec.explain else []
    found = published_schema(served, names)
    return {name: kind for name, kind in found.items() if name != ERROR}


def example(served: Served) -> dict[str, Any]:
    """A body with values made up by their types: those of a real row may be somebody's."""
    row = {column.name: _made_up(json_type(column.type)) for column in served.types.schema}
    return {"rows": [row]} | ({} if served.takes_single_rows else {"whole": True})


def json_type(kind: pa.DataType) -> dict[str, Any]:
    """The values of a column as JSON Schema."""
    types = pa.types
    if is_list(kind):
        return {"type": "array", "items": json_type(kind.value_type)}
    if types.is_struct(kind):
        return {"type": "object", "properties": {field.name: json_type(field.type) for field in kind}}
    if types.is_temporal(kind):
        return {"type": "string", "format": "date" if types.is_date(kind) else "date-time"}
    if types.is_boolean(kind) or types.is_integer(kind):
        return {"type": "boolean" if types.is_boolean(kind) else "integer"}
    return {"type": "number" if types.is_floating(kind) or types.is_decimal(kind) else "string"}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return schema | {"type": [schema["type"], "null"]}


def _made_up(schema: dict[str, Any]) -> Any:
    if schema["type"] == "array":
        return [_made_up(schema["items"])]
    forms = {"date": _DAY, "date-time": _MOMENT}
    return forms.get(schema.get("format", ""), _EXAMPLES[schema["type"]])
