"""Buckets of S3 and of stores that speak its protocol."""

from __future__ import annotations

from typing import Any

from obstore.store import S3Store
from pydantic import Field

from evergreen.connections import Connection
from evergreen.errors import SourceError, StorageError
from evergreen.sources.files.address import Address
from evergreen.sources.files.places.objects import Objects, StoreSettings, open_objects
from evergreen.storage import Credentials, Storage


class S3Settings(StoreSettings):
    """The keys of the extra beside login (access key id) and password (secret access key)."""

    region_name: str = "us-east-1"
    aws_session_token: str | None = Field(default=None, repr=False)


def open_s3(address: Address, connection: Connection | None, storage: Storage | None) -> Objects:
    """A bucket, by the keys of the connection, else of the pipeline's storage.

    Where there are no keys, the usual chain of the AWS SDK (profile, role) applies.
    """
    if connection is None:
        if storage is None:
            raise StorageError("no storage is set, whose keys would be used: name a connection")
        keys, conn_id = storage.credentials, ""
        settings = S3Settings(endpoint_url=keys.endpoint_url)
    else:
        settings, conn_id = s3_settings(connection), connection.conn_id
        keys = s3_keys(connection, settings)
    return open_objects(
        address,
        S3Store,
        {
            "region": keys.region,
            "endpoint": keys.endpoint_url or _amazon(keys.region),
            "virtual_hosted_style_request": False,
            "skip_signature": settings.anonymous,
        },
        client=settings.client(conn_id),
        unusable=": check the endpoint, the region and 'ca' of its connection",
        provider=None if settings.anonymous else _provider(keys),
    )


def s3_settings(connection: Connection) -> S3Settings:
    """What the extra of a connection to S3 says; raises `SourceError` as `Extra.read` does."""
    return S3Settings.read(connection, "a connection to S3")


def s3_keys(connection: Connection, settings: S3Settings) -> Credentials:
    """The keys of a connection, and its endpoint, which is Amazon's if it names none.

    Raises `SourceError` for one key without the other.
    """
    if bool(connection.login) != bool(connection.password):
        missing = "password" if connection.login else "login"
        raise SourceError(
            f"connection '{connection.conn_id}' has no {missing}: the login is the access key id, the "
            "password the secret access key; leave out both to use the machine's own role"
        )
    return Credentials(
        endpoint_url=settings.endpoint_url or _amazon(settings.region_name),
        region=settings.region_name,
        access_key=connection.login,
        secret_key=connection.password,
        session_token=settings.aws_session_token,
    )


def _amazon(region: str) -> str:
    return f"https://s3.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


def _provider(keys: Credentials) -> Any:
    if keys.access_key is None:
        return _own_role()
    return lambda: {
        "access_key_id": keys.access_key,
        "secret_access_key": keys.secret_key,
        "token": keys.session_token,
        "expires_at": None,
    }


def _own_role() -> Any:
    from obstore.auth.boto3 import Boto3CredentialProvider

    try:
        return Boto3CredentialProvider()
    except Exception:  # noqa: BLE001 - each source of credentials has errors of its own
        raise SourceError(
            "there are no AWS keys: set the login and password of a connection and name it in the source, or "
            "give this machine a role; 'anonymous: true' in its extra reads public buckets"
        ) from None
