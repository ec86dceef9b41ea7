"""How features are built: the pipeline's own function, shared feature sets, lookups in other pipelines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, ValidationError, field_validator, model_serializer

from evergreen.calendar import Length
from evergreen.description import Described, explain, read_mapping
from evergreen.errors import SpecError
from evergreen.units import AnyLength, Column, Duration, FunctionName, Identifier

FEATURE_SETS = "feature_sets"
"""The folder of shared feature sets, in the folder of pipelines."""


class Lookup(Described):
    """Columns of another pipeline's rows, as they were known at the time of each row.

    Of the rows known then the newest by event time is used. A column `c` is named `<lookup>_c`, and is null
    if no row was known.
    """

    pipeline: Identifier
    """The other pipeline. Example: stations"""
    on: dict[Column, Column] = Field(min_length=1)
    """This pipeline's columns, mapped to those that identify the entity there. Example: {station: station_id}
    """
    columns: tuple[Column, ...] = Field(min_length=1)
    """The columns to add. Example: [docks]"""
    known_at: Column | None = None
    """The other pipeline's column of the time from which a row was known; default: its event time. Example:
    published_at
    """
    max_age: Duration
    """How old a row may be at most, by event time, to be used. Example: 7 days"""


class FeatureSet(Described):
    """Features that pipelines share by name, as described in `feature_sets/<name>/feature_set.yaml`."""

    description: str
    """What the features say, for people."""
    owner: str
    """Who answers for them."""
    function: FunctionName
    """A feature function in a file of the set's folder."""
    look_back: AnyLength = Length(0, "day")
    """How far it looks back at most."""
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
    """How features are built from rows.

    With neither a function nor sets, the features are all columns except key, time, target and weight, of
    those that `columns` names.
    """

    columns: tuple[Column, ...] = Field(default=(), min_length=1)
    """The columns of the rows that features are built of; default: all. Functions get these, key, time,
    partition, target and what is looked up. Of others only what the description names elsewhere is read.
    Example: [price, weather]
    """

    function: FunctionName | None = None
    """A pure function from frame to frame, aligned to the rows given: those of the partition, and those
    within `look_back` before it.
    """
    look_back: AnyLength = Length(0, "day")
    """How far back the function's rows reach before the partition."""
    sets: tuple[Identifier, ...] = ()
    """Shared feature sets, each a folder below `feature_sets/` with its own function and look-back; their
    columns come first. Example: [calendar]
    """
    lookups: dict[Identifier, Lookup] = Field(default_factory=dict)
    """Columns of other pipelines' rows, by names of your choice, added to the rows before any function gets
    them.
    """

    @property
    def looked_up(self) -> tuple[str, ...]:
        """The columns that lookups add to the rows."""
        return _added(self.lookups)

    @field_validator("columns", "sets")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if twice := [name for number, name in enumerate(names) if name in names[:number]]:
            raise ValueError(f"'{twice[0]}' is named twice")
        return names

    @field_validator("lookups")
    @classmethod
    def _columns_apart(cls, lookups: dict[str, Lookup]) -> dict[str, Lookup]:
        if "partitions" in lookups:
            raise ValueError("'partitions' is the name of the pipeline's own rows: rename the lookup")
        names = _added(lookups)
        if twice := [name for number, name in enumerate(names) if name in names[:number]]:
            raise ValueError(
                f"the column '{twice[0]}' is repeated: name each column once, or rename a lookup"
            )
        return lookups

    @model_serializer(mode="wrap")
    def _without_default(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without `columns` the same as before there were any: digests and stored versions hold it."""
        content: dict[str, Any] = dump(self)
        if not self.columns:
            content.pop("columns", None)
        return content


def _added(lookups: Mapping[str, Lookup]) -> tuple[str, ...]:
    return tuple(f"{name}_{column}" for name, lookup in lookups.items() for column in lookup.columns)


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
        raise SpecError(f"{file}: folder: no such key: it is the folder of this file, leave it out")
    try:
        return FeatureSet.model_validate({**content, "folder": folder})
    except ValidationError as error:
        raise SpecError(f"{file}: {explain(FeatureSet, error)}") from None
