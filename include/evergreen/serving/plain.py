"""Features that need none of scikit-learn's checks, as the matrix that those checks would give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evergreen.boosters.columns import is_plain_number

_LARGEST = 2.0**53  # beyond it, how a whole number is rounded to single precision depends on the way


@dataclass(frozen=True)
class Plain:
    """What an estimator was fit on: `names` of its columns, None if they had none, and how many there were.

    `single` says whether it computes in single precision, and so takes nothing infinite; `nan` whether it
    takes NaN. `categories` has for each column the codes of its texts, None for numbers; it is empty if all
    are numbers.
    """

    names: list[str] | None
    columns: int
    single: bool = False
    nan: bool = True
    categories: tuple[Mapping[str, float] | None, ...] = field(default=(), repr=False)

    def matrix(self, features: Any) -> NDArray[Any] | None:
        """The features (n, d) as numbers, of categories first; None if scikit-learn must look at them.

        That is so where names or types are others, a value may not be there, or a category is no text.
        """
        if isinstance(features, pd.DataFrame):
            if self.names is None or features.columns.tolist() != self.names:
                return None
            found = self._encoded(features) if self.categories else self._numbers(features, features.dtypes)
        elif isinstance(features, np.ndarray) and features.shape[1:] == (self.columns,):
            plain = self.names is None and not self.categories and is_plain_number(features.dtype)
            found = np.asarray(features, self._type) if plain else None
        else:
            return None
        return None if found is None or self._refuses(found) else found

    @property
    def _type(self) -> type[Any]:
        return np.float32 if self.single else np.float64

    def _numbers(self, features: pd.DataFrame, types: Any) -> NDArray[Any] | None:
        return features.to_numpy(dtype=self._type) if all(map(is_plain_number, types)) else None

    def _encoded(self, features: pd.DataFrame) -> NDArray[Any] | None:
        types = features.dtypes.tolist()
        values = features.to_numpy(dtype=object)
        found = np.empty(values.shape, self._type)
        order = sorted(range(self.columns), key=lambda place: self.categories[place] is None)
        for to, place in enumerate(order):
            codes, column = self.categories[place], values[:, place]
            if codes is None:
                if not is_plain_number(types[place]):
                    return None
                found[:, to] = column
                continue
            if not all(isinstance(value, str) or _is_missing(value) for value in column):
                return None
            found[:, to] = [codes.get(value, np.nan) for value in column]
        return found

    def _refuses(self, found: NDArray[Any]) -> bool:
        largest = np.abs(found).max(initial=0)
        if np.isnan(largest):
            if not self.nan:
                return True
            largest = np.nanmax(np.abs(found), initial=0)
        return bool(self.single and largest > _LARGEST)


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))
