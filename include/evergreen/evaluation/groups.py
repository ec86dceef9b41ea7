"""Rows by the values of a column: what slices and fairness are measured on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evergreen.errors import SpecError
from evergreen.spec import Spec

if TYPE_CHECKING:
    from evergreen.training_set.assemble import TrainingSet

MISSING = "missing"
"""What a value that is not there is called."""


@dataclass(frozen=True)
class Groups:
    """Some rows of a training set, each with the position of its value among `values`.

    `values` are the texts of all values in the hold-out, numbers first and in their order. Not each of them
    must occur in these rows.
    """

    values: tuple[str, ...]
    codes: NDArray[np.intp] = field(repr=False)

    @classmethod
    def of(
        cls, spec: Spec, training_set: TrainingSet, rows: NDArray[np.bool_], where: str, column: str
    ) -> Groups:
        """The groups of some rows of the hold-out (a mask) by a raw column or, if there is none, a feature.

        Raises `SpecError`, naming `where` in the description, for a column that is neither.
        """
        held, found = training_set.holdout, _column(spec, training_set, where, column)
        codes, unique = pd.factorize(found[held])
        texts = [*map(text_of, unique), MISSING]
        values = sorted({texts[code] for code in np.unique(codes)}, key=_in_order)
        places = {text: place for place, text in enumerate(values)}
        place_of = np.asarray([places.get(text, -1) for text in texts], dtype=np.intp)
        return cls(tuple(values), place_of[codes][rows[held]])

    def __iter__(self) -> Iterator[tuple[str, NDArray[np.intp]]]:
        """Each value with the positions of the rows that have it, in order; there may be none."""
        counts = np.bincount(self.codes, minlength=len(self.values))
        parts = np.split(np.argsort(self.codes, kind="stable"), np.cumsum(counts)[:-1])
        yield from zip(self.values, parts, strict=True)


def text_of(value: Any) -> str:
    """A value as text: `1.0` as `1`, truth values as `true` and `false`, a missing one as `missing`."""
    if value is None or value is pd.NA or value is pd.NaT:
        return MISSING
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, float | np.floating):
        if math.isnan(value):
            return MISSING
        return str(int(value)) if float(value).is_integer() else repr(float(value))
    return str(value)


def _column(spec: Spec, training_set: TrainingSet, where: str, column: str) -> pd.Series:
    for frame in (training_set.rows, training_set.features):
        if column in frame.columns:
            return frame[column]
    there = ", ".join(map(str, training_set.rows.columns[:30]))
    raise SpecError(
        f"{spec.folder / 'pipeline.yaml'}: {where}: neither the rows nor the features have a column "
        f"'{column}': name one of {there}"
    )


def _in_order(text: str) -> tuple[bool, float, str]:
    try:
        return False, float(text), text
    except ValueError:
        return True, 0.0, text
