"""How the versions of a pipeline's model are kept."""

from __future__ import annotations

from datetime import timedelta

from evergreen.description import Described
from evergreen.units import ConnectionId, Duration


class Models(Described):
    """Signatures of versions, and how long those are kept that are no longer in force.

    `signing` is the connection that holds the keys: its password is the private one, in its extra
    `public_key` the public one, both PEM; with a private key every new version is signed. With
    `require_signature` a version without a right signature is never loaded. `evergreen models clean` removes
    what has been out of force for longer than `retention`.
    """

    signing: ConnectionId | None = None
    require_signature: bool = False
    retention: Duration = timedelta(days=365)
