"""Containers of Azure Blob Storage."""

from __future__ import annotations

from typing import Any

from obstore.store import AzureStore
from pydantic import Field

from evergreen.connections import Connection
from evergreen.errors import SourceError
from evergreen.sources.files.address import Address
from evergreen.sources.files.places.objects import Objects, StoreSettings, open_objects
from evergreen.storage import Storage


class AzSettings(StoreSettings):
    """The keys of the extra beside login (storage account) and password (account key).

    Instead of the password, `sas_token`, or the three of an application that is registered in Entra ID.
    """

    sas_token: str | None = Field(default=None, repr=False)
    tenant_id: str | None = None
    client_id: str | None = None
    client_secret: str | None = Field(default=None, repr=False)


def open_az(address: Address, connection: Connection | None, _: Storage | None) -> Objects:
    """A container of the connection's storage account; without keys, by the machine's own identity."""
    if connection is None:
        raise SourceError(f"{address.top} needs a connection, whose login is the storage account: name it")
    where = f"connection '{connection.conn_id}'"
    settings = AzSettings.read(connection, "a connection to Azure Blob Storage")
    if not connection.login:
        raise SourceError(f"{where} has no login: set it to the name of the storage account")
    entra = (settings.tenant_id, settings.client_id, settings.client_secret)
    if any(entra) and not all(entra):
        raise SourceError(f"{where}: 'tenant_id', 'client_id' and 'client_secret' in its extra go together")
    if sum(map(bool, (connection.password, settings.sas_token, any(entra), settings.anonymous))) > 1:
        raise SourceError(
            f"{where} has several of a password (account key), 'sas_token', 'client_secret' and 'anonymous': "
            "leave one of them"
        )
    config = {
        "account_name": connection.login,
        "endpoint": settings.endpoint_url or f"https://{connection.login}.blob.core.windows.net",
        "tenant_id": settings.tenant_id,
        "client_id": settings.client_id,
        "client_secret": settings.client_secret,
        "skip_signature": settings.anonymous or None,
    }
    return open_objects(
        address,
        AzureStore,
        config,
        client=settings.client(connection.conn_id),
        unusable=f" by {where}: check its login, keys and endpoint",
        provider=_provider(connection, settings),
    )


def _provider(connection: Connection, settings: AzSettings) -> Any:
    key = connection.password
    if key:
        return lambda: {"access_key": key, "expires_at": None}
    if token := settings.sas_token:
        return lambda: {"sas_token": token.removeprefix("?"), "expires_at": None}
    return None
