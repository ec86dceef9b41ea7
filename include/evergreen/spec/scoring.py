"""Where predictions are also written."""

from __future__ import annotations

from evergreen.description import Described
from evergreen.units import ConnectionId, Identifier


class Scoring(Described):
    """A table of a database that predictions are also written to; created if it is absent."""

    conn_id: ConnectionId
    """The connection of the database."""
    table: Identifier
    """The table, which is created if it is absent. Example: bike_demand_predictions"""
