"""What a look at a source found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Forced:
    """The first value that made a column text: its place, itself, and how many other values are of `kind`.

    That is what the column would be without such values: a number, or a form of dates.
    """

    place: str
    value: str
    kind: str = "number"
    others: int = 0


@dataclass(frozen=True)
class Column:
    """A column: its type as a description says it, nulls and distinct values of the rows, and their range.

    `forced` is there for text that some values forced.
    """

    name: str
    type: str
    nulls: int
    distinct: int
    first: str | None = None
    last: str | None = None
    forced: Forced | None = None


@dataclass(frozen=True)
class Target:
    """A column that may be a target, and the task that it would be of."""

    column: str
    task: str


@dataclass(frozen=True)
class Look:
    """What a source holds, and the YAML that describes it.

    `rows` were read, which are all if `is_whole`; `sample` has them. `keys` are sets of columns that are
    present and unique. `yaml` describes a source of this `name` and `kind` with this `config`.
    """

    source: str
    kind: str
    rows: int
    is_whole: bool
    columns: Sequence[Column]
    keys: Sequence[Sequence[str]]
    times: Sequence[str]
    targets: Sequence[Target]
    yaml: str
    name: str
    config: Mapping[str, Any]
    sample: pa.Table = field(repr=False, compare=False)
    encoding: str | None = None
    dialect: Mapping[str, Any] = field(default_factory=dict)
    told: Mapping[str, str] = field(default_factory=dict)
    unsure: Sequence[str] = ()
    rejected: int = 0
    first_rejected: str | None = None
