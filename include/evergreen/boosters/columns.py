"""Features as the matrix of numbers that a boosting library learns from. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MISSING = -1.0
"""The code of a category that has no value."""
UNSEEN = -2.0
"""The code of a category that training has not seen."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Columns:
    """What is known of each column of the features: the texts of its categories, None for numbers.

    A category's code is its place there. The texts are sorted, so the order of the rows does not matter.
    """

    categories: tuple[tuple[str, ...] | None, ...]

    @classmethod
    def of(cls, features: Any) -> Columns:
        """The columns of features (n, d): those of a frame with texts or categories have categories."""
        if not isinstance(features, pd.DataFrame):
            return cls((None,) * np.asarray(features).shape[1])
        return cls(tuple(_categories(features.iloc[:, place]) for place in range(features.shape[1])))

    @property
    def of_categories(self) -> tuple[int, ...]:
        """The positions of the columns that have categories."""
        return tuple(place for place, known in enumerate(self.categories) if known is not None)

    def matrix(self, features: Any) -> Floats:
        """Features (n, d) as numbers: codes for categories, NaN where a number has no value.

        Raises `ValueError` naming a column of numbers that holds something else.
        """
        if not isinstance(features, pd.DataFrame):
            return np.asarray(features, dtype=np.float64)
        if not self.of_categories and all(map(is_plain_number, features.dtypes)):
            # At once, which for few rows takes a tenth of the time.
            return np.array(features.to_numpy(dtype=np.float64), order="C")
        found = np.empty(features.shape, dtype=np.float64)
        for place, known in enumerate(self.categories):
            column = features.iloc[:, place]
            found[:, place] = _numbers(column) if known is None else _codes(column, known)
        return found


def is_plain_number(kind: Any) -> bool:
    """Whether a column of this type holds nothing but numbers of NumPy, of at most eight bytes."""
    return isinstance(kind, np.dtype) and kind.kind in "biuf" and kind.itemsize <= 8


def _categories(column: pd.Series) -> tuple[str, ...] | None:
    if pd.api.types.is_bool_dtype(column.dtype) or pd.api.types.is_numeric_dtype(column.dtype):
        return None
    if isinstance(column.dtype, pd.CategoricalDtype | pd.StringDtype) or column.dtype == object:
        return tuple(sorted({str(value) for value in column.dropna().unique()}))
    raise ValueError(
        f"feature '{column.name}' is of type {column.dtype}: make it a number, a text or a category"
    )


def _codes(column: pd.Series, known: tuple[str, ...]) -> Floats:
    # Texts are looked up once for each different value, not for each row.
    numbers, values = pd.factorize(column)
    place = {text: float(code) for code, text in enumerate(known)}
    codes = np.array([*(place.get(str(value), UNSEEN) for value in values), MISSING])
    return codes[numbers]


def _numbers(column: pd.Series) -> Floats:
    try:
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        raise ValueError(
            f"feature '{column.name}' was a number in training and is {column.dtype}: mend the features"
        ) from None
