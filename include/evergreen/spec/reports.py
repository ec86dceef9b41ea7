"""Who gets the reports of a pipeline's nights."""

from __future__ import annotations

from evergreen.description import Described
from evergreen.units import ConnectionId


class Reports(Described):
    """The connections that the report of each night is sent to.

    It is written whether or not anybody gets it.
    """

    to: tuple[ConnectionId, ...] = ()
    """Who gets the report, each by the id of a connection. Example: [mail]"""
