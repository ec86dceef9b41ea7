"""When a partition is refused by its rows or columns."""

from __future__ import annotations

from typing import Literal

from evergreen.description import Described
from evergreen.units import Share


class Validation(Described):
    """The suite of expectations, and further conditions on a partition."""

    suite: str = "expectations.yaml"
    """The file of the expectations, below the pipeline's folder."""
    max_quarantined: Share = 0.05
    """The largest share of rows in quarantine; with more the partition is refused."""
    schema_change: Literal["refuse", "evolve", "ignore_new"] = "refuse"
    """What is done when a source's columns change: `refuse` the partition, `evolve` the table (a new column
    is added, a missing one filled with nulls, a number's type widened), or `ignore_new` columns.
    """
