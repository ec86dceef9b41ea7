"""The features of another version on the rows of a training set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from evergreen.errors import IntegrityError
from evergreen.features.lookups import lookup_versions
from evergreen.training_set.assemble import TableVersions, TrainingSet
from evergreen.training_set.read import read_training_set

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline
    from evergreen.spec import Spec


def features_by(pipeline: Pipeline, spec: Spec, training_set: TrainingSet) -> pd.DataFrame | None:
    """The features of a training set's rows, aligned by position, as `pipeline` describes them.

    `spec` is the description that the training set was built by. None where both describe the same features.
    The same tables are read again, as far back as these features look, with their own lookups. Raises what
    `assemble` raises, and `IntegrityError` if the rows are others by now.
    """
    own = pipeline.spec
    if own is spec or _only_columns(own, training_set):
        return None
    as_of, lineage = training_set.as_of, training_set.lineage
    versions = _tables(pipeline, spec, lineage["table_versions"])
    found, _ = read_training_set(pipeline, as_of, lineage["reason"], versions)
    keys = list(spec.keys)
    if not found.rows[keys].equals(training_set.rows[keys]):
        raise IntegrityError(
            f"{spec.name}: the rows of the training window have changed since they were read: run it again"
        )
    return found.features


def _only_columns(own: Spec, training_set: TrainingSet) -> bool:
    """Whether a version without a function was trained on the columns that the training set has as well."""
    code = own.feature_code
    functions = own.features.function or own.feature_sets
    return code is not None and not functions and list(code.columns) == list(training_set.features.columns)


def _tables(pipeline: Pipeline, spec: Spec, read: TableVersions) -> TableVersions:
    """The versions of the tables to read: those that were read, and the present ones of further lookups."""
    theirs, ours = pipeline.spec.features.lookups, spec.features.lookups
    further = [name for name in theirs if name not in ours or theirs[name].pipeline != ours[name].pipeline]
    kept = {name: version for name, version in read.items() if name not in further}
    return (lookup_versions(pipeline) if further else {}) | kept
