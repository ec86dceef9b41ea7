"""Finds and parses descriptions in YAML; errors name the place, the problem and what is allowed."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    SerializeAsAny,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_core import CoreSchema

from evergreen.attribute_docs import attribute_docs
from evergreen.errors import SpecError, one_line
from evergreen.units import ConnectionName


class Described(BaseModel):
    """A part of a description: frozen, without unknown keys, NaN or infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @classmethod
    def written(cls) -> type[BaseModel]:
        """The model of the written form: this model, unless the written form is converted."""
        return cls

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The JSON Schema of the written form, with what is said below each attribute (`attribute_docs`)."""
        written = cls.written()
        found = handler(core if written is cls else written.__pydantic_core_schema__)
        keys = handler.resolve_ref_schema(found).get("properties", {})
        docs = attribute_docs(cls)
        for name, field in cls.model_fields.items():
            doc, key = docs.get(name), keys.get(field.alias or name)
            if doc is not None and key is not None:
                key["description"] = doc.sentence
                if doc.examples:
                    key["examples"] = list(doc.examples)
        # In place, or the schema would have two definitions of one name.
        return found if written is cls else dict(handler.resolve_ref_schema(found))


def connection_ids(described: object) -> Iterator[str]:
    """The ids of all connections that any part of a description names."""
    if isinstance(described, ConnectionName):
        yield str(described)
    elif isinstance(described, BaseModel):
        for name in type(described).model_fields:
            yield from connection_ids(getattr(described, name))
    elif isinstance(described, Mapping):
        yield from connection_ids(tuple(described.values()))
    elif isinstance(described, list | tuple | set | frozenset):
        for part in described:
            yield from connection_ids(part)


class OneOf(Described):
    """A part of a description that has one of several kinds, written below the kind's name.

    `{postgres: {table: payments}}` becomes the kind `postgres` with its model as `config`. Further fields of
    a subclass are written beside the kind's name.
    """

    kind: str
    config: SerializeAsAny[Described]

    @classmethod
    def kinds(cls) -> Mapping[str, type[Described]]:
        """The models of the kinds, by name. They are looked up each time a description is read."""
        raise NotImplementedError

    @classmethod
    def without_kind(cls) -> tuple[str, Described] | None:
        """Kind and model if no kind is written; None if a kind is required."""
        return None

    @classmethod
    def written(cls) -> type[BaseModel]:
        """A key for each of the kinds, and those beside them."""
        return _written_kinds(cls, tuple(cls.kinds().items()))

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """As of any part, of which one kind must be written, unless none need be."""
        found = super().__get_pydantic_json_schema__(core, handler)
        if cls.without_kind():
            return found
        given = [{"required": [name], "properties": {name: {"type": "object"}}} for name in cls.kinds()]
        return {**found, "oneOf": given}

    @model_validator(mode="wrap")
    @classmethod
    def _of_a_kind(cls, value: Any, make: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(value, cls):
            return value
        said = dict(cls.written().model_validate(value))
        given = {name: said.pop(name) for name in cls.kinds()}
        found = [(name, config) for name, config in given.items() if config is not None]
        if not found and (otherwise := cls.without_kind()):
            found = [otherwise]
        if len(found) != 1:
            number = "at most" if cls.without_kind() else "exactly"
            raise ValueError(f"give {number} one of {', '.join(map(repr, given))}")
        kind, config = found[0]
        return make({"kind": kind, "config": config, **said})


@lru_cache
def _written_kinds(part: type[OneOf], kinds: tuple[tuple[str, type[Described]], ...]) -> type[BaseModel]:
    own = {name: field for name, field in part.model_fields.items() if name not in OneOf.model_fields}
    keys: Any = {name: (model | None, None) for name, model in kinds}
    keys |= {name: (field.annotation, field) for name, field in own.items()}
    return create_model(part.__name__, __base__=Described, __doc__=part.__doc__, **keys)


class Extended(Described):
    """A part of a description with further keys beside its own fields, which are attributes like them."""

    model_config = ConfigDict(extra="allow")

    @classmethod
    def further(cls) -> Mapping[str, tuple[Any, Any]]:
        """The further keys, looked up each time: their types, and their defaults or a `Field`."""
        raise NotImplementedError

    @classmethod
    def written(cls) -> type[BaseModel]:
        """The own keys and the further ones."""
        own = {name: (field.annotation, field) for name, field in cls.model_fields.items()}
        keys: Any = {**own, **cls.further()}
        return create_model(cls.__name__, __base__=Described, __doc__=cls.__doc__, **keys)

    @model_validator(mode="wrap")
    @classmethod
    def _with_further(cls, value: Any, make: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(value, cls):
            return value
        said = cls.written().model_validate(value)
        made = make(dict(said))
        # What was left out has its default and counts as not set, as in any model.
        made.__pydantic_fields_set__.intersection_update(said.model_fields_set)
        return made


def pipelines_folder(variables: Mapping[str, str] | None = None) -> Path:
    """The folder of pipelines: `EVERGREEN_PIPELINES`, or `include/pipelines` beside this package.

    The variable is looked for in `variables`, by default this process's.
    """
    named = (os.environ if variables is None else variables).get("EVERGREEN_PIPELINES")
    return Path(named) if named else Path(__file__).resolve().parent.parent / "pipelines"


def read_mapping(file: Path) -> dict[Any, Any]:
    """The mapping in a YAML file; raises `SpecError` naming the file, and the line if known."""
    content = read_yaml(file)
    if not isinstance(content, dict):
        raise SpecError(f"{file}: must be a mapping of keys to values, see include/pipelines for examples")
    return content


def read_yaml(file: Path) -> Any:
    """The content of a YAML 1.2 file; raises `SpecError` naming the file, and the line if known."""
    try:
        return yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f": line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise SpecError(
            f"{file}{line}: not valid YAML: {error.problem or error.context}: fix it there"
        ) from None
    except (yaml.YAMLError, ValueError) as error:  # YAML raises ValueError for the date 2024-13-01
        raise SpecError(f"{file}: not valid YAML in UTF-8: {one_line(error)}: fix it there") from None
    except OSError as error:
        raise SpecError(f"{file}: cannot be read ({error.strerror}): make it readable") from None


def explain(model: type[BaseModel], error: ValidationError) -> str:
    """What is wrong, in one line: a key path and a sentence for each problem."""
    return "; ".join(dict.fromkeys(_explain(model, problem) for problem in error.errors()))


# Each DAG file reads all descriptions whenever it is parsed: in C, where PyYAML has it, five times as fast.
if TYPE_CHECKING:
    _Safe = yaml.SafeLoader
else:
    _Safe = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Safe):
    """Safe YAML with unique keys, in which only `true` and `false` are booleans, as in YAML 1.2.

    A join's `on` is a key there, not a boolean.
    """

    yaml_implicit_resolvers: ClassVar = {  # type: ignore[misc]
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key '{key.value}' is repeated", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(true|false)$"), list("tf"))

_WORDS = {
    "missing": "this key is required",
    "date_from_datetime_parsing": "must be a date like 2011-01-31",
    "date_from_datetime_inexact": "must be a date like 2011-01-31, without a time",
    "date_type": "must be a date like 2011-01-31",
    "dict_type": "must be a mapping like {key: value}",
    "tuple_type": "must be a list like [a, b]",
    "list_type": "must be a list like [a, b]",
    "string_type": "must be a text, in quotes if it looks like a number or a date",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "too_short": "must not be empty",
    "finite_number": "must be a number, not infinite or NaN",
    "invalid_key": "a key must be a text",
}


def _explain(model: type[BaseModel], problem: Any) -> str:
    # Where a value may have several forms, pydantic puts the name of the form's validator into the path.
    location = tuple(part for part in problem["loc"] if not re.search(r"[\[(]", str(part)))
    path = ".".join(map(str, location))
    return f"{path}: {_sentence(model, problem, location)}" if path else _sentence(model, problem, location)


def _sentence(model: type[BaseModel], problem: Any, location: tuple[Any, ...]) -> str:
    kind = problem["type"]
    if kind == "extra_forbidden":
        allowed = _keys(model, location[:-1])
        near = difflib.get_close_matches(str(location[-1]), allowed, n=1)
        hint = f", did you mean '{near[0]}'?" if near else ""
        return f"no such key{hint}; allowed here: {', '.join(allowed)}"
    if kind == "model_type":
        return f"must be a mapping with the keys: {', '.join(_keys(model, location))}"
    words = _WORDS.get(kind) or problem["msg"].removeprefix("Value error, ")
    words = words.removeprefix("Assertion failed, ").replace("Input should be", "must be")
    given = problem["input"]
    shown = isinstance(given, str | int | float) and not isinstance(given, bool) and kind != "missing"
    return f"{words}; it is '{given}'" if shown and len(str(given)) < 60 else words


def _keys(model: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    """The keys that a description may have at a place."""
    current = _written(model)
    for part in location:
        if part in current.model_fields:
            current = _written(next(_models(current.model_fields[part].annotation), current))
    return sorted(field.alias or name for name, field in current.model_fields.items() if not field.exclude)


def _written(model: type[BaseModel]) -> type[BaseModel]:
    return model.written() if issubclass(model, Described) else model


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models(argument)
