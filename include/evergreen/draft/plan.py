"""All decisions of a draft together. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain, count
from typing import Any

import pyarrow as pa

from evergreen.calendar import Calendar
from evergreen.draft.columns import Columns
from evergreen.draft.keys import Key, key_of, nearly_a_key
from evergreen.draft.left_out import left_out
from evergreen.draft.model import Model, model_of
from evergreen.draft.target import Target, last_target, target_by_name, target_named
from evergreen.draft.times import Times, times_of
from evergreen.errors import SpecError
from evergreen.shown import shown
from evergreen.sources.kinds import KINDS
from evergreen.sources.look.found import Look
from evergreen.task import Task

FEWEST_ROWS = 20
"""With fewer rows neither key nor target can be told, and nothing can be learnt."""

_A_YEAR = 365  # days


@dataclass(frozen=True)
class Plan:
    """What the folder of a pipeline will say.

    `config` describes the source. `things` are columns of the key that are features too, because they come
    in many rows; `calendar` are the features made of the event time, as attributes of pandas' `dt`.
    """

    name: str
    look: Look
    columns: Columns
    config: Mapping[str, Any]
    times: Times
    key: Key
    target: Target
    left_out: Mapping[str, str]
    things: tuple[str, ...]
    calendar: tuple[str, ...]
    model: Model

    @property
    def has_function(self) -> bool:
        """Whether its features are a function of its own, and not just all columns."""
        return bool(self.left_out or self.things or self.calendar)

    @property
    def features(self) -> tuple[str, ...]:
        """The features, by the columns that they are or are made of."""
        own = {*self.key.columns, self.times.column, self.target.column, *self.left_out}
        return (*(name for name in self.columns.found if name not in own), *self.things, *self.calendar)

    @property
    def span(self) -> tuple[str, str]:
        """The keys of the first and the last partition."""
        if self.times.first is None or self.times.last is None:
            return ("snapshot", "snapshot")
        calendar = Calendar(self.times.grain)
        return calendar.key_of_local(self.times.first), calendar.key_of_local(self.times.last)


def plan_of(name: str, look: Look, target: str | None = None) -> Plan:
    """The plan of a pipeline for the rows of a look, which is to predict `target` if it is named.

    Raises `SpecError` where too little is there, where no columns name a row, and where nothing can be
    predicted.
    """
    columns = Columns.of(look)
    _check_enough(look, columns)
    times = times_of(columns, look.config)
    found = target_named(columns, target) if target is not None else target_by_name(columns)
    key = key_of(columns, times.column, {found.column} if found else set())
    if (key is None or key.is_measured) and "row_number" in KINDS[look.kind].config.model_fields:
        look, key = _numbered(look, nearly_a_key(columns, times.column))
        columns = Columns.of(look)
    if key is None:
        raise SpecError(
            f"{look.source}: no column is present and different in all {columns.count:,} rows, and no two or "
            f"three ids, times and texts are together{nearly_a_key(columns, times.column)}, and rows of "
            f"{look.kind} have no lasting order: mend the rows, take a view without those, or add a column "
            "that numbers them"
        )
    found = found or last_target(columns, {*key.columns, times.column or "", times.changed or ""})
    if found is None:
        raise SpecError(
            f"{look.source}: no column can be a target, which has several values, a few if they are texts: "
            f"name one with --target ({', '.join(columns.found)})"
        )
    if found.column in key.columns or found.column == times.column:
        raise SpecError(f"--target: '{found.column}' names the rows and cannot be predicted: name another")
    plan = Plan(
        name,
        look,
        columns,
        _config(look, columns, times, key, found),
        times,
        key,
        found,
        left_out=left_out(columns, key.columns, times, found),
        things=tuple(one for one in key.columns if one != times.column and not columns.is_unique(one)),
        calendar=_calendar(columns, times),
        model=model_of(found, times, columns.count),
    )
    if not plan.features:
        reasons = "; ".join(f"{one}: {why}" for one, why in plan.left_out.items()) or "there are no others"
        raise SpecError(
            f"{look.source}: no column is left to predict '{shown(found.column)}' from: add some ({reasons})"
        )
    return plan


def _check_enough(look: Look, columns: Columns) -> None:
    if len(columns.found) < 2:
        raise SpecError(
            f"{look.source}: has {len(columns.found)} column: a pipeline needs at least a key and a target"
        )
    if columns.count < FEWEST_ROWS:
        raise SpecError(
            f"{look.source}: has {columns.count} row{'s' * (columns.count != 1)}, and a draft needs at least "
            f"{FEWEST_ROWS} to look at"
        )


def _numbered(look: Look, nearly: str) -> tuple[Look, Key]:
    """The look at a file whose rows are numbered, and that number as their key."""
    taken = {name.lower() for name in look.sample.schema.names}
    names = chain(["row"], (f"row_{number}" for number in count(2)))
    name = next(one for one in names if one not in taken)
    numbers = pa.array(range(1, look.sample.num_rows + 1), pa.int64())
    sample = look.sample.append_column(name, numbers)
    why = (
        f"no column is present and different in each row, unless by chance{nearly}: the row's number in the "
        "file; name a real key if rows are ever removed or sorted anew"
    )
    return replace(look, sample=sample, config={**look.config, "row_number": name}), Key((name,), why)


def _calendar(columns: Columns, times: Times) -> tuple[str, ...]:
    if times.column is None:
        return ()
    found = ["hour"] if times.by_hour else []
    found += ["weekday"] if 7 in times.grain.facts.cycles else []
    found += ["month"] if times.span.days >= _A_YEAR else []
    return tuple(one for one in found if one not in {name.lower() for name in columns.found})


def _config(look: Look, columns: Columns, times: Times, key: Key, target: Target) -> dict[str, Any]:
    """The source with its event time, and types for whole numbers that name a row or a class."""
    config = {key: value for key, value in look.config.items() if key != "time_column"}
    named = [*key.columns, *([target.column] if target.task is Task.CLASSIFICATION else [])]
    whole = {name: "int" for name in named if _is_float(columns, name) and columns.is_whole(name)}
    if types := {**config.get("types", {}), **whole}:
        config["types"] = types
    if times.config is not None:
        config["time_column"] = times.config
        if times.changed and "changed" in KINDS[look.kind].config.model_fields:
            config["changed"] = {"column": times.changed}
    return config


def _is_float(columns: Columns, name: str) -> bool:
    return bool(pa.types.is_floating(columns.values(name).type))
