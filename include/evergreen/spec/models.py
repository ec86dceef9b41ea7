"""How the versions of a pipeline's model are signed and kept."""

from __future__ import annotations

from datetime import timedelta

from evergreen.description import Described
from evergreen.units import Age, ConnectionId


class Models(Described):
    """Signatures of versions, and how long former champions are kept."""

    signing: ConnectionId | None = None
    """The connection with the keys in PEM: its password is the private key, by which every new version is
    signed, `public_key` in its extra the public key. Example: signing_keys
    """
    require_signature: bool = False
    """Whether a version without a valid signature is never loaded."""
    retention: Age = timedelta(days=365)
    """How long ago a version was last champion when `evergreen models clean` removes it."""
