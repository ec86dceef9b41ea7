"""A description as its values by key, and which of them differ from another description's. Pure.

Values are compared as they are read and shown as they are written, so `60 minutes` is no other than `1 hour`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from pydantic import BaseModel

from evergreen.description import OneOf
from evergreen.sources.event_time import ComposedTime
from evergreen.sources.source import Complete
from evergreen.spec import Candidate, Spec, Step

_LONGEST = 200
_NAMED_BY = ("step", "column", "right", "conn_id")
"""The fields that an entry of a list is known by, the first it has."""
_GIVEN = "given"


@dataclass(frozen=True)
class Key:
    """The place of a value: its `names` from the top, and how it is `shown`, with entries of lists named."""

    names: tuple[str, ...]
    shown: str

    def below(self, name: str) -> Key:
        """The key of this name below it."""
        return Key((*self.names, name), f"{self.shown}.{name}" if self.shown else name)

    def entry(self, label: str) -> Key:
        """The key of an entry of this list."""
        return Key(self.names, f"{self.shown}[{label}]")


@dataclass(frozen=True)
class Value:
    """A value: `read` is what it means, and `shown` how it is written, with (default) if it is not."""

    read: Any
    shown: str = field(compare=False)


@dataclass(frozen=True)
class Differing:
    """A key that differs; None stands for a value that is not there."""

    key: Key
    before: str | None
    after: str | None


class _Entries(tuple[str, ...]):
    """The names of a list's entries, in order."""


def differing(
    before: tuple[Spec, Mapping[Any, Any]], after: tuple[Spec, Mapping[Any, Any]]
) -> Iterator[Differing]:
    """The keys that differ between two descriptions, each with the content of its file.

    Of a part that is only in one of them the topmost key alone is told. An order is told where it alone
    differs.
    """
    old, new = (
        dict(_values(Key((), ""), spec, spec.model_dump(mode="json"), content))
        for spec, content in (before, after)
    )
    whole: list[Key] = []
    for key in dict.fromkeys([*new, *old]):
        one, other = old.get(key), new.get(key)
        if one == other or any(_within(key, part) for part in whole) or _entries_come_or_go(one, other):
            continue
        if any(each is None or each.read == _GIVEN for each in (one, other)):
            whole.append(key)
        yield Differing(key, one.shown if one else None, other.shown if other else None)


def texts(spec: Spec) -> Iterator[tuple[Key, str]]:
    """The texts of a description, each with its key."""
    for key, value in _values(Key((), ""), spec, None, None):
        if isinstance(value.read, str) and value.read != _GIVEN:
            yield key, value.read


def _entries_come_or_go(one: Value | None, other: Value | None) -> bool:
    """Whether they are lists with other entries, which are told one by one."""
    if one is None or other is None or not any(isinstance(each.read, _Entries) for each in (one, other)):
        return False
    return set(one.read) != set(other.read)


def _within(key: Key, whole: Key) -> bool:
    return key.shown.startswith((f"{whole.shown}.", f"{whole.shown}["))


def _values(key: Key, value: Any, dumped: Any, written: Any) -> Iterator[tuple[Key, Value]]:
    """The values at a key and below it; `written` is what the file says there, None for nothing."""
    shown = _text(value, dumped, written)
    match value:
        case BaseModel():
            if key.names:
                yield key, Value(_GIVEN, shown)
            yield from _fields(key, value, dumped, written)
        case ComposedTime():
            yield key, Value([str(value), value.parts, value.zone], shown)
        case Mapping() if value:
            yield key, Value(_GIVEN, shown)
            for name, item in value.items():
                yield from _values(key.below(str(name)), item, _of(dumped, name), _of(written, name))
        case tuple() if any(isinstance(one, BaseModel) for one in value):
            labels = _labels(value)
            yield key, Value(_Entries(labels), ", ".join(labels))
            for number, (label, item) in enumerate(zip(labels, value, strict=True)):
                yield from _values(key.entry(label), item, _of(dumped, number), _of(written, number))
        case _:
            yield key, Value(value, shown)


def _fields(key: Key, model: BaseModel, dumped: Any, written: Any) -> Iterator[tuple[Key, Value]]:
    for name, described in type(model).model_fields.items():
        value, inner = getattr(model, name), _of(dumped, name)
        if described.exclude or (isinstance(model, OneOf) and name == "kind"):
            continue
        if isinstance(model, Complete) and name == "question":
            yield from _fields(key, value, inner, written)
            continue
        own = model.kind if isinstance(model, OneOf) and name == "config" else described.alias or name
        yield from _values(key.below(own), value, inner, _of(written, own))
    for name, value in (model.model_extra or {}).items():  # of a part that has further keys
        yield from _values(key.below(name), value, _of(dumped, name), _of(written, name))


def _labels(entries: Sequence[Any]) -> list[str]:
    """The names of the entries of a list, numbered from the second of the same name on."""
    seen: Counter[str] = Counter()
    found = []
    for one in entries:
        label = _label(one)
        seen[label] += 1
        found.append(label if seen[label] == 1 else f"{label} {seen[label]}")
    return found


def _label(entry: Any) -> str:
    if isinstance(entry, Candidate):
        return entry.label
    if isinstance(entry, Step):
        return entry.step
    return next((str(getattr(entry, name)) for name in _NAMED_BY if hasattr(entry, name)), "entry")


def _of(written: Any, name: Any) -> Any:
    try:
        return written[name]
    except (KeyError, IndexError, TypeError):
        return None


def _text(value: Any, dumped: Any, written: Any) -> str:
    if written is not None:
        return _flow(written)
    return "none" if value in (None, (), {}) else f"{_flow(dumped)} (default)"


def _flow(written: Any) -> str:
    text = yaml.safe_dump(written, default_flow_style=True, width=10_000, sort_keys=False, allow_unicode=True)
    text = text.strip().removesuffix("...").strip()
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
