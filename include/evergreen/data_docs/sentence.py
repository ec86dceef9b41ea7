"""An expectation as a sentence: Great Expectations' own words, with the arguments in them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_PLACE = re.compile(r"\$(\w+)")
_LONGEST = 120  # characters of a value
_MOST = 60  # parts of a sentence: a set may have thousands of values
# Every pipeline has these expectations for its keys. With their words here, a pipeline that has no others
# does not import Great Expectations, which takes longer than reading a million rows.
_OF_KEYS = {
    "expect_column_values_to_not_be_null": "$column values must never be null.",
    "expect_column_values_to_be_unique": "$column values must be unique.",
    "expect_compound_columns_to_be_unique": "Values for given compound columns must be unique together: "
    "$column_list.",
}
_KINDS = ("renderer.prescriptive", "atomic.prescriptive.summary")


@dataclass(frozen=True)
class Part:
    """A piece of a sentence: words, or a value (a column, a limit, a pattern) put into them."""

    text: str
    is_value: bool = False


@dataclass(frozen=True)
class Sentence:
    """What an expectation asks; `whole` is False where the words leave arguments out."""

    parts: tuple[Part, ...]
    whole: bool

    def __str__(self) -> str:
        return "".join(part.text for part in self.parts)


def sentence(name: str, arguments: Mapping[str, Any]) -> Sentence:
    """The words for an expectation; its name's own where Great Expectations has none for it.

    A limit by history without a number, since there was too little history, is described in words. The first
    call that needs Great Expectations imports it. A sentence takes 0.1 ms the first time and is cached (see
    docs/adr/0005-data-docs.md).
    """
    return _sentence(name, json.dumps(arguments, default=str))


def shown(value: Any) -> str:
    """A value in a sentence: numbers rounded, long text truncated."""
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value))
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


@lru_cache(maxsize=4096)
def _sentence(name: str, written: str) -> Sentence:
    arguments = _limits_in_words(json.loads(written))
    if name in _OF_KEYS and len(arguments) == 1:
        return Sentence(_parts(_OF_KEYS[name], arguments), whole=True)
    for kind in _KINDS:
        if said := _great_expectations_words(kind, name, arguments):
            return said
    return Sentence((Part(name.replace("_", " ")),), whole=False)


def _great_expectations_words(kind: str, name: str, arguments: dict[str, Any]) -> Sentence | None:
    from great_expectations.exceptions import GreatExpectationsError
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.expectations.registry import get_renderer_impl

    if (renderer := get_renderer_impl(name, kind)) is None:
        return None
    try:
        rendered = renderer[1](configuration=ExpectationConfiguration(type=name, kwargs=arguments))
        blocks = [block.to_json_dict() for block in (rendered if isinstance(rendered, list) else [rendered])]
        template, values = _template(blocks[0])
    except (GreatExpectationsError, AttributeError, KeyError, TypeError, ValueError):
        # Some of its renderers cannot do without an argument that the expectation itself can.
        return None
    if "$expectation_type" in template:  # it has no words
        return None
    return Sentence(_parts(template, values), whole=len(blocks) == 1)


def _template(block: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    if "string_template" in block:
        return block["string_template"]["template"], block["string_template"]["params"]
    value = block["value"]
    return value["template"], {name: param["value"] for name, param in value["params"].items()}


def _parts(template: str, values: Mapping[str, Any]) -> tuple[Part, ...]:
    pieces: Sequence[str] = _PLACE.split(template)
    parts = [
        Part(shown(values.get(piece, piece)), is_value=True) if number % 2 else Part(piece)
        for number, piece in enumerate(pieces)
        if piece
    ]
    return (*parts[:_MOST], Part(" …")) if len(parts) > _MOST else tuple(parts)


def _limits_in_words(arguments: dict[str, Any]) -> dict[str, Any]:
    from evergreen.validation.history import replaced, with_limits

    try:
        found: dict[str, Any] = replaced(with_limits(arguments), _in_words)
    except ValueError:
        return arguments
    return found


def _in_words(limit: Any) -> str:
    figure = limit.of if limit.of == "row_count" else f"{limit.of} of {limit.column}"
    times = "" if limit.times == 1 else f"{shown(limit.times)} x "
    plus = "" if limit.plus == 0 else f" plus {shown(limit.plus)}"
    return f"{times}the median {figure} of the last {limit.last} partitions{plus}"
