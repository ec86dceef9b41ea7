"""How the versions of a pipeline's model are signed and kept."""

from __future__ import annotations

from datetime import timedelta

from evergreen.description import Described
from evergreen.units import Age, ConnectionId


class Models(Described):
    """Signatures of versions, and how long former champions are kept.

    `signing` is the connection with the keys in PEM: its password is the private key, `public_key` in its
    extra the public key. With a private key every new version is signed. With `require_signature` a version
    without a valid signature is never loaded. `evergreen models clean` removes versions that have not been
    champion for longer than `retention`.
    """

    signing: ConnectionId | None = None
    require_signature: bool = False
    retention: Age = timedelta(days=365)
