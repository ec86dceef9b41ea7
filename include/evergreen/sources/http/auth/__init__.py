"""How requests to an API are authenticated: one module a kind, and their registry.

A connection's extra names the kind as `auth`, or by the key that only this kind has. A new kind is a module
with its `Settings`, and an entry in `KINDS`.
"""

from __future__ import annotations

from evergreen.connections import Connection
from evergreen.errors import SourceError
from evergreen.shown import shown
from evergreen.sources.http.auth.body_key import BodyKey
from evergreen.sources.http.auth.digest import Digest
from evergreen.sources.http.auth.oauth2 import ClientCredentials, RefreshToken
from evergreen.sources.http.auth.plain import Basic, Bearer, HeaderKey, NoCredentials, QueryKey
from evergreen.sources.http.auth.settings import Credentials, Settings
from evergreen.sources.http.auth.sigv4 import SigV4

KINDS: dict[str, type[Settings]] = {
    "none": NoCredentials,
    "bearer": Bearer,
    "basic": Basic,
    "key_in_header": HeaderKey,
    "key_in_query": QueryKey,
    "key_in_body": BodyKey,
    "digest": Digest,
    "oauth2_client_credentials": ClientCredentials,
    "oauth2_refresh_token": RefreshToken,
    "aws_sigv4": SigV4,
}
"""The kinds of authentication, by their name in `auth` of a connection's extra."""


def credentials_of(connection: Connection) -> Credentials:
    """What authenticates requests to the connection's API.

    Raises `SourceError` for a kind that does not exist, a key that the kind does not have, a wrong value, and
    what the kind needs and is missing. No message holds a value of the connection.
    """
    name = _kind(connection)
    return KINDS[name].of(connection, name).credentials(connection)


def _kind(connection: Connection) -> str:
    named = connection.extra.get("auth")
    if named is not None:
        if named not in KINDS:
            raise SourceError(
                f"connection '{connection.conn_id}': 'auth' in its extra is '{shown(named)}', which is none "
                f"of {', '.join(KINDS)}"
            )
        return str(named)
    for name, kind in KINDS.items():
        if kind.marker is not None and connection.extra.get(kind.marker):
            return name
    if connection.login:
        return "basic"
    return "bearer" if connection.password else "none"
