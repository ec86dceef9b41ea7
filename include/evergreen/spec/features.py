"""How features are built: the pipeline's own function, shared feature sets, lookups in other pipelines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field, ValidationError, field_validator

from evergreen.calendar import Length
from evergreen.description import Described, explain, read_mapping
from evergreen.errors import SpecError
from evergreen.units import AnyLength, Column, Duration, FunctionName, Identifier

FEATURE_SETS = "feature_sets"
"""The folder of shared feature sets, in the folder of pipelines."""


class Lookup(Described):
    """Columns of another pipeline's rows, as they were known at the time of each row.

    `pipeline` is the other pipeline; `on` maps this pipeline's columns to the columns that identify the
    entity there. A row of the entity was known if its `known_at` (default: the other pipeline's event time)
    is not after the time of the row that looks it up. Of the known rows the newest by event time is used,
    unless it is older than `max_age`. A column `c` is named `<lookup>_c`, and is null if no row was known.
    """

    pipeline: Identifier
    on: dict[Column, Column] = Field(min_length=1)
    columns: tuple[Column, ...] = Field(min_length=1)
    known_at: Column | None = None
    max_age: Duration


class FeatureSet(Described):
    """Features that pipelines share by name, as described in `feature_sets/<name>/feature_set.yaml`.

    `function` is a feature function in a file of the set's folder; it looks back at most `look_back`.
    """

    description: str
    owner: str
    function: FunctionName
    look_back: AnyLength = Length(0, "day")
    folder: Path = Field(exclude=True)

    @property
    def name(self) -> str:
        """The name of its folder, by which pipelines refer to it."""
        return self.folder.name


@dataclass(frozen=True)
class FeatureCode:
    """What a stored version has in place of the files in the folder.

    `sources` are the files of its feature functions, by origin. `columns` are the columns that it was trained
    on; they are what is selected where it has no function.
    """

    version: str
    sources: Mapping[str, bytes] = field(repr=False)
    columns: tuple[str, ...] = field(repr=False)


class Features(Described):
    """`function` is `file.py:name`, a pure function from frame to frame, aligned to the rows given.

    It gets the rows of the partition and the rows within `look_back` before it. `sets` are shared feature
    sets, each a folder below `feature_sets/` with its own function and look-back; their columns come first.
    With neither, the features are all columns except key, time, target and weight. `lookups` add columns to
    the rows before any function gets them.
    """

    function: FunctionName | None = None
    look_back: AnyLength = Length(0, "day")
    sets: tuple[Identifier, ...] = ()
    lookups: dict[Identifier, Lookup] = Field(default_factory=dict)

    @field_validator("sets")
    @classmethod
    def _each_once(cls, sets: tuple[str, ...]) -> tuple[str, ...]:
        if twice := [name for number, name in enumerate(sets) if name in sets[:number]]:
            raise ValueError(f"'{twice[0]}' is named twice")
        return sets

    @field_validator("lookups")
    @classmethod
    def _columns_apart(cls, lookups: dict[str, Lookup]) -> dict[str, Lookup]:
        if "partitions" in lookups:
            raise ValueError("'partitions' is the name of the pipeline's own rows: rename the lookup")
        names = [f"{name}_{column}" for name, lookup in lookups.items() for column in lookup.columns]
        if twice := [name for number, name in enumerate(names) if name in names[:number]]:
            raise ValueError(
                f"the column '{twice[0]}' is repeated: name each column once, or rename a lookup"
            )
        return lookups


def load_sets(pipeline_file: Path, names: tuple[str, ...]) -> tuple[FeatureSet, ...]:
    """The feature sets of these names, from the folder of pipelines that a `pipeline.yaml` belongs to.

    Only reads their YAML. Raises `SpecError`, naming file and key path, for one that is missing or invalid.
    """
    folder = pipeline_file.parent.parent / FEATURE_SETS
    return tuple(_load_set(pipeline_file, number, folder / name) for number, name in enumerate(names))


def _load_set(pipeline_file: Path, number: int, folder: Path) -> FeatureSet:
    file = folder / "feature_set.yaml"
    if not file.is_file():
        there = ", ".join(sorted(path.parent.name for path in folder.parent.glob("*/feature_set.yaml")))
        raise SpecError(
            f"{pipeline_file}: features.sets.{number}: no feature set '{folder.name}' in {folder.parent} "
            f"(there: {there or 'none'})"
        )
    content = read_mapping(file)
    if "folder" in content:
        raise SpecError(f"{file}: folder: no such key: it is the folder of this file")
    try:
        return FeatureSet.model_validate({**content, "folder": folder})
    except ValidationError as error:
        raise SpecError(f"{file}: {explain(FeatureSet, error)}") from None
