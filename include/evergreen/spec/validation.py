"""When a partition is refused by its rows or columns."""

from __future__ import annotations

from typing import Literal

from evergreen.description import Described
from evergreen.units import Share


class Validation(Described):
    """The suite of expectations, and further conditions on a partition.

    A partition is refused if more than the share `max_quarantined` of its rows would be quarantined. When a
    source's columns change, `schema_change` says what to do: `refuse` the partition, `evolve` the table (a
    new column is added, a missing column is filled with nulls, a number's type is widened), or `ignore_new`
    columns.
    """

    suite: str = "expectations.yaml"
    max_quarantined: Share = 0.05
    schema_change: Literal["refuse", "evolve", "ignore_new"] = "refuse"
