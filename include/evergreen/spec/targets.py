"""Several targets in one description: the pipelines that it stands for, and the description of each. Pure.

`target: [casual, registered]` in the folder `bikes` describes the pipelines `bikes_casual` and
`bikes_registered`. What differs between them is written below each target, as it is elsewhere in the
description: `target: {casual: {gate: {limits: {mae: {max: 20}}}}, registered: {}}`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from evergreen.errors import SpecError
from evergreen.units import Identifier

SAME = (
    "name",
    "target",
    "schedule",
    "start",
    "partition",
    "timezone",
    "week_starts",
    "sources",
    "join",
    "key",
    "validation",
)
"""What no target changes, since it says which rows there are."""

_KEY = re.compile(rb"\btarget[\"']?[ \t]*:")
_ONE = re.compile(rb"^target:[ \t]+[\w\"']", re.MULTILINE)
_IDENTIFIER = TypeAdapter(Identifier)


def plainly_one(text: bytes) -> bool:
    """Whether a description certainly has at most one target, told without parsing its YAML."""
    keys = len(_KEY.findall(text))
    return keys == 0 or (keys == 1 and _ONE.search(text) is not None)


def listed_targets(file: Path, content: Mapping[Any, Any]) -> dict[str, Mapping[str, Any]]:
    """The targets that a description lists, each with what it changes; none where it names one, or has none.

    Raises `SpecError`, naming file and key path, for one that is repeated, is no column's name, or cannot be
    part of a pipeline's name, and for changes to what is the same for all.
    """
    written = content.get("target")
    if not isinstance(written, list | dict):
        return {}
    if not written:
        raise SpecError(f"{file}: target: must not be empty")
    found: dict[str, Mapping[str, Any]] = {}
    for place, target, changes in _written(written):
        where = f"{file}: target.{place}"
        if not isinstance(target, str):
            raise SpecError(f"{where}: must be a text, in quotes if it looks like a number or a date")
        if target in found:
            raise SpecError(f"{where}: '{target}' is named twice")
        _check_name(where, file.parent.name, target)
        _check_changes(where, changes)
        found[target] = changes or {}
    _check_tables(file, content, found)
    return found


def pipeline_of(folder: str, target: str) -> str:
    """The name of the pipeline that predicts one of several targets."""
    return f"{folder}_{target}"


def described_for(content: Mapping[Any, Any], changes: Mapping[str, Any], target: str) -> dict[Any, Any]:
    """The description of the pipeline of one target, with what the target changes.

    Its table of predictions has the target's name at its end, unless the target names its own.
    """
    described = _merged(content, changes) | {"target": target}
    if isinstance(content.get("name"), str):
        described["name"] = pipeline_of(content["name"], target)
    own, table = _table(changes), _table(content)
    if own is None and isinstance(table, str):
        described["scoring"] = {**described["scoring"], "table": f"{table}_{target}"}
    return described


def _written(targets: list[Any] | dict[Any, Any]) -> Iterator[tuple[Any, Any, Any]]:
    """The place of each target in the description, the target, and what it changes."""
    if isinstance(targets, list):
        yield from ((number, target, None) for number, target in enumerate(targets))
    else:
        yield from ((target, target, changes) for target, changes in targets.items())


def _check_name(where: str, folder: str, target: str) -> None:
    name = pipeline_of(folder, target)
    try:
        _IDENTIFIER.validate_python(name)
    except ValidationError:
        raise SpecError(
            f"{where}: '{name}' would be the pipeline's name, which has up to 63 of a-z, 0-9 and '_': give "
            "the column another name in its source, or each target a folder of its own"
        ) from None


def _check_changes(where: str, changes: Any) -> None:
    if changes is None:
        return
    if not isinstance(changes, dict):
        raise SpecError(f"{where}: must be a mapping of keys to values: what differs for this target")
    if fixed := [key for key in changes if key in SAME]:
        raise SpecError(
            f"{where}.{fixed[0]}: is the same for all targets: leave it out, or give this target a folder of "
            "its own"
        )


def _check_tables(file: Path, content: Mapping[Any, Any], found: Mapping[str, Mapping[str, Any]]) -> None:
    each = [described_for(content, changes, target).get("scoring") for target, changes in found.items()]
    tables = Counter((one.get("conn_id"), one.get("table")) for one in each if isinstance(one, dict))
    if twice := [table for (_, table), times in tables.items() if times > 1]:
        raise SpecError(f"{file}: target: two of them write to the table '{twice[0]}': name another for one")


def _table(described: Mapping[Any, Any]) -> Any:
    scoring = described.get("scoring")
    return scoring.get("table") if isinstance(scoring, dict) else None


def _merged(whole: Mapping[Any, Any], changes: Mapping[Any, Any]) -> dict[Any, Any]:
    """Both, where mappings are merged key by key, and any other value takes the place of the one before."""
    merged = dict(whole)
    for key, value in changes.items():
        there = merged.get(key)
        both = isinstance(there, dict) and isinstance(value, dict)
        merged[key] = _merged(there, value) if both else value  # type: ignore[arg-type]
    return merged
