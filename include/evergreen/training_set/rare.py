"""Classes with too few rows to say how well a model tells them, or for any model to learn them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evergreen.errors import RefusedError
from evergreen.spec import Spec, Task

JUDGED = 5
"""Rows of a class in the hold-out from which on it is judged; of fewer, a share is mostly chance.

It is the least expected count of a cell that the chi-squared test is used with (Cochran 1954).
"""


@dataclass(frozen=True)
class RareClass:
    """A class that cannot be judged, its rows that are `known` to the evaluated model, and those held out."""

    name: str
    known: int
    held: int

    @property
    def sentence(self) -> str:
        """Why it cannot be judged."""
        rows = self.known + self.held
        said = f"class {self.name} is too rare to judge: {rows:,} {'row' if rows == 1 else 'rows'}"
        return f"{said}, {self.held:,} of them held out."


def rare_classes(spec: Spec, target: pd.Series | None, holdout: NDArray[np.bool_]) -> tuple[RareClass, ...]:
    """The classes with fewer than `JUDGED` rows held out, or none to learn from, by name."""
    if spec.task is not Task.CLASSIFICATION or target is None:
        return ()
    codes, names = pd.factorize(target, sort=True)
    known, held = (np.bincount(codes[part], minlength=len(names)) for part in (~holdout, holdout))
    return tuple(
        RareClass(str(name), int(before), int(after))
        for name, before, after in zip(names, known, held, strict=True)
        if after < JUDGED or not before
    )


def check_learnable(spec: Spec, target: pd.Series | None, holdout: NDArray[np.bool_]) -> None:
    """Raise `RefusedError` if all rows that are not held out are of one class: nothing can be learnt then."""
    if spec.task is not Task.CLASSIFICATION or target is None:
        return
    known, held = (set[Any](target[part].unique()) for part in (~holdout, holdout))
    if len(known) > 1:
        return
    others = f"; {', '.join(sorted(map(str, held - known))[:5])} only in the hold-out" if held - known else ""
    raise RefusedError(
        f"{spec.name}: target: the {int((~holdout).sum()):,} rows to train on are all of class "
        f"{', '.join(map(str, known))}{others}: give rows of another class, or lengthen training.window"
    )
