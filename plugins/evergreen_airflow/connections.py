"""Airflow's connections in the library's form."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evergreen.connections import Connection
    from evergreen.pipeline import Pipeline
    from evergreen.storage import Storage

STORAGE_CONNECTION = "EVERGREEN_STORAGE_CONN_ID"


def airflow_connection(conn_id: str) -> Connection:
    """The Airflow connection `conn_id`; raises `SourceError` if it is not defined."""
    # Airflow imports this module, by that of the logs, before it can import its hooks.
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    from evergreen.connections import Connection
    from evergreen.errors import SourceError

    try:
        found = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise SourceError(
            f"connection '{conn_id}' is not defined: add it in Airflow or set AIRFLOW_CONN_{conn_id.upper()}"
        ) from None
    return Connection(
        conn_id=conn_id,
        conn_type=found.conn_type or "",
        host=found.host,
        port=found.port,
        login=found.login,
        password=found.password,
        schema=found.schema,
        extra=found.extra_dejson,
    )


def open_storage() -> Storage:
    """The storage that `EVERGREEN_STORAGE` names.

    Its keys are the `AWS_*` variables, or those of the connection that `EVERGREEN_STORAGE_CONN_ID` names
    (login, password, and `endpoint_url` and `region_name` in its extra).
    """
    from evergreen.connections import storage_keys
    from evergreen.storage import Storage

    conn_id = os.environ.get(STORAGE_CONNECTION)
    return Storage.open(credentials=storage_keys(airflow_connection(conn_id)) if conn_id else None)


def open_pipeline(name: str) -> Pipeline:
    """The pipeline called `name` on Airflow's connections and `open_storage`."""
    from evergreen.pipeline import Pipeline

    return Pipeline.open(name, connect=airflow_connection, storage=open_storage())
