"""Buckets of Google Cloud Storage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from obstore.store import GCSStore
from pydantic import Field, field_validator

from evergreen.connections import Connection
from evergreen.errors import SourceError
from evergreen.sources.files.address import Address
from evergreen.sources.files.places.objects import Objects, StoreSettings, open_objects
from evergreen.storage import Storage


class GsSettings(StoreSettings):
    """The keys of the extra; `keyfile_dict` is a service account's key as JSON, `key_path` a file with it."""

    keyfile_dict: str | None = Field(default=None, repr=False)
    key_path: Path | None = None
    project: str | None = None  # Airflow's connections have it; a bucket is found without

    @field_validator("keyfile_dict", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return json.dumps(value) if isinstance(value, dict) else value


def open_gs(address: Address, connection: Connection | None, _: Storage | None) -> Objects:
    """A bucket, by the connection's service account, else by what the machine has (ADC)."""
    conn_id = connection.conn_id if connection else ""
    settings = (
        GsSettings.read(connection, "a connection to Google Cloud Storage") if connection else GsSettings()
    )
    if settings.keyfile_dict and settings.key_path:
        raise SourceError(
            f"connection '{conn_id}' has both 'keyfile_dict' and 'key_path' in its extra: leave one "
            "of them out"
        )
    by = f"connection '{conn_id}'" if conn_id else "the application default credentials"
    config = {
        "service_account_key": settings.keyfile_dict,
        "service_account": str(settings.key_path) if settings.key_path else None,
        "base_url": settings.endpoint_url,
        "skip_signature": settings.anonymous or None,
    }
    return open_objects(
        address,
        GCSStore,
        config,
        client=settings.client(conn_id),
        unusable=f" by {by}: 'keyfile_dict' or the file 'key_path' must be the JSON key of a service account",
    )
