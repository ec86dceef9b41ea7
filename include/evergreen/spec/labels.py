"""Labels that come later than their rows."""

from __future__ import annotations

from evergreen.description import Described
from evergreen.sources import Source
from evergreen.units import AnyLength


class Labels(Described):
    """A separate source of the target, joined to the rows by their key.

    The labels of a partition are read, and count as known, `delay` later: with the first partition from which
    the delay back does not go beyond it (`Calendar.ahead`).
    """

    source: Source
    delay: AnyLength
