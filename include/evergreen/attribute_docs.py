"""The texts below the attributes of a class, which are where the keys of a description are described."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import yaml

_EXAMPLE = "Example: "


class _Json(yaml.SafeLoader):
    """YAML whose dates are texts, as in JSON."""

    yaml_implicit_resolvers: ClassVar = {  # type: ignore[misc]
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


@dataclass(frozen=True)
class AttributeDoc:
    """What is said below an attribute: in words, and the example at its end, if there is one."""

    sentence: str
    examples: tuple[Any, ...] = ()

    @classmethod
    def read(cls, text: str) -> AttributeDoc:
        """A text like `The path of the file. Example: days.csv`, whose example is YAML."""
        words, _, example = " ".join(text.split()).partition(_EXAMPLE)
        if not example:
            return cls(words)
        return cls(words.strip(), (yaml.load(example, Loader=_Json),))  # noqa: S506 - a SafeLoader


@lru_cache
def attribute_docs(cls: type) -> dict[str, AttributeDoc]:
    """By the names of a class's attributes, inherited ones too, what is said below each that has a text.

    Reads the source of the classes, since Python itself forgets such texts.
    """
    inherited = (attribute_docs(base) for base in reversed(cls.__bases__) if base is not object)
    found = {name: doc for docs in inherited for name, doc in docs.items()}
    return found | {name: AttributeDoc.read(text) for name, text in _texts(cls)}


def _texts(cls: type) -> Iterator[tuple[str, str]]:
    try:
        body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    except (OSError, TypeError):  # a class that is built in, or made by a call, has no source
        return
    assert isinstance(body, ast.ClassDef)
    for statement, below in zip(body.body, body.body[1:], strict=False):
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            yield statement.target.id, str(below.value.value)
