"""The values that an API is asked for one by one, as `pipeline.yaml` describes them: `for_each`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, StrictInt, StrictStr

from evergreen.description import Described
from evergreen.shown import shown
from evergreen.sources.placeholders import OF_PARTITION, placeholders
from evergreen.units import ConnectionId, Identifier

MOST = 10_000
"""Combinations of values of one read."""

Value = int | str
Combination = Mapping[str, Value]
"""One value for each key of `for_each`."""


class QueriedValues(Described):
    """The values in the first column of a query's rows, in their order."""

    conn_id: ConnectionId
    """The connection of the database."""
    sql: str
    """The SQL file, below the pipeline's folder; its parameters are a source's. Example: sql/stores.sql"""


def check_values(values: Sequence[Value]) -> None:
    """Raise `ValueError` for values that are empty, of two kinds, too many, or the same."""
    if "" in values:
        raise ValueError("a value is an empty text: leave it out")
    if len(set(map(type, values))) > 1:
        raise ValueError("the values are numbers and texts: write all of them as texts, in quotes")
    if len(values) > MOST:
        raise ValueError(f"there are {len(values):,} values, and at most {MOST:,} are read")
    value, times = Counter(values).most_common(1)[0] if values else ("", 0)
    if times > 1:
        raise ValueError(f"the value '{shown(value)}' is there {times} times: leave the others out")


def combinations(values: Mapping[str, Sequence[Value]]) -> list[Combination]:
    """Every value of a key with every one of the others, the last key's changing first.

    Raises `ValueError` for more than 10,000.
    """
    number = 1
    for each in values.values():
        number *= len(each)
    if number > MOST:
        raise ValueError(f"there are {number:,} combinations of values, and at most {MOST:,} are read")
    return [dict(zip(values, chosen, strict=True)) for chosen in product(*values.values())]


def _listed(value: Any) -> Any:
    if isinstance(value, list | tuple | dict | QueriedValues):
        return value
    raise ValueError("write a list of values, or a query's 'conn_id' and 'sql'")


def _checked(value: tuple[Value, ...] | QueriedValues) -> tuple[Value, ...] | QueriedValues:
    if isinstance(value, tuple):
        if not value:
            raise ValueError("there is no value: write at least one")
        check_values(value)
    return value


def _named(for_each: dict[str, Any]) -> dict[str, Any]:
    if taken := [name for name in for_each if name in OF_PARTITION]:
        raise ValueError(f"'{taken[0]}' stands for the partition: choose another name")
    listed = {name: values for name, values in for_each.items() if isinstance(values, tuple)}
    combinations(listed)
    return for_each


ForEach = Annotated[
    dict[
        Identifier,
        Annotated[
            tuple[StrictInt | StrictStr, ...] | QueriedValues,
            BeforeValidator(_listed),
            AfterValidator(_checked),
        ],
    ],
    AfterValidator(_named),
]
"""By the name of a placeholder its values, or the query that has them."""


def check_used(names: Iterable[str], texts: Iterable[str]) -> None:
    """Raise `ValueError` for a name of `for_each` that no text has as a placeholder."""
    there = {name for text in texts for name in placeholders(text)}
    if unused := [name for name in names if name not in there]:
        raise ValueError(
            f"for_each.{unused[0]}: every value would ask for the same: write '{{{unused[0]}}}' into path, "
            "params, headers or body"
        )


def check_unused(names: Iterable[str], texts: Iterable[str]) -> None:
    """Raise `ValueError` for a name of `for_each` in a text that is filled in once for all values."""
    there = {name for text in texts for name in placeholders(text)}
    if used := [name for name in names if name in there]:
        raise ValueError(
            f"'{{{used[0]}}}' is a value of 'for_each', and whether the source is complete is asked once for "
            "all of them: leave it out"
        )


def in_words(chosen: Combination) -> str:
    """The combination as it is named in messages, such as `store 7`; empty without values."""
    return ", ".join(f"{name} {shown(value)}" for name, value in chosen.items())
