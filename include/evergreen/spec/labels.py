"""Labels that come later than their rows."""

from __future__ import annotations

from evergreen.description import Described
from evergreen.sources import Source
from evergreen.units import AnyLength


class Labels(Described):
    """Labels that come later than their rows: a separate source of the target, joined to the rows by their
    key.
    """

    source: Source
    """Where the labels come from: described like a source of rows, without `complete` and `changed`."""
    delay: AnyLength
    """How much later the labels of a partition are read, and count as known. Example: 30 days"""
