"""What wrong decisions between two classes cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from evergreen.description import Described

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class Costs(Described):
    """What a wrong decision costs, in a unit of the user's own; a right one costs nothing.

    A false negative is a row of the positive class that is predicted to be of the other.
    """

    false_negative: float = Field(gt=0, allow_inf_nan=False)
    """What it costs to miss a row of the positive class. Example: 50"""
    false_positive: float = Field(gt=0, allow_inf_nan=False)
    """What it costs to take a row of the other class for one of the positive. Example: 1"""

    def expected(self, chance: Floats, predicted: NDArray[np.bool_]) -> Floats:
        """The expected cost of each row (n,), `predicted` (n,) to be of the positive class or not.

        `chance` (n,) is the probability that a row is of it: 1 or 0 where that is known.
        """
        import numpy as np

        cost: Floats = np.where(predicted, self.false_positive * (1 - chance), self.false_negative * chance)
        return cost
