"""Warehouses by their ADBC drivers: Snowflake, BigQuery, Flight SQL, and Redshift by PostgreSQL's driver.

What they have in common is ADBC's own catalogue. A type is named as Arrow names it.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from evergreen.connections import Connection
from evergreen.databases.adbc import ERRORS, AdbcSession, meaning, table_names
from evergreen.databases.database import Bounds, TableFound
from evergreen.databases.deadline import Deadline
from evergreen.databases.errors import translated

Options = Callable[[Connection], Mapping[str, str]]
"""The driver's options, `uri` among them, for a connection."""

_EXTRA = "extra__{kind}__"


class WarehouseSession(AdbcSession):
    """A session whose catalogue is the driver's."""

    quote = '"'

    def quoted(self, name: str) -> str:
        """With the database's quote, doubled where it is part of the name."""
        return self.quote + name.replace(self.quote, 2 * self.quote) + self.quote

    def tables(self) -> list[str]:
        """Tables and views of every schema, with its name."""
        catalogues = self.deadline.abandoning(
            lambda: self.connection.adbc_get_objects(depth="tables").read_all().to_pylist()
        )
        return sorted(
            f"{schema['db_schema_name']}.{table['table_name']}"
            for catalogue in catalogues
            for schema in catalogue["catalog_db_schemas"] or ()
            for table in schema["db_schema_tables"] or ()
        )

    def table(self, name: str) -> TableFound | None:
        """The table of the connection's schema, or `schema.table`."""
        problem: Exception | None = None
        for schema, table in table_names(name, ""):
            found = ".".join(self.quoted(part) for part in (schema, table) if part)
            try:
                return TableFound(found, self.described(f"SELECT * FROM {found}"))  # noqa: S608 - quoted
            except ERRORS as error:
                problem = error
                with suppress(*ERRORS):
                    self.connection.rollback()
        if problem and any(there in (name, f"{there.partition('.')[0]}.{name}") for there in self.tables()):
            raise problem
        return None

    def described(self, statement: str) -> dict[str, str]:
        """The columns of a query of which no row is asked for."""
        with closing(self.connection.cursor()) as cursor, self.deadline.cancelling(cursor.adbc_cancel):
            cursor.execute(f"SELECT * FROM ({statement}\n) q LIMIT 0")  # noqa: S608 - the user's own query
            schema = cursor.fetch_record_batch().schema
        return {field.name: str(field.type) for field in schema}

    def parameter(self, position: int, *, local: bool) -> str:
        """A question mark with its type."""
        return f"CAST(? AS {'TIMESTAMP' if local else 'TIMESTAMP WITH TIME ZONE'})"

    def null(self, *, local: bool) -> str:
        """A NULL of the parameter's type."""
        return self.parameter(0, local=local).replace("?", "NULL")

    def value(self, moment: datetime) -> str:
        """As a text, which every one of these databases casts."""
        if moment.tzinfo:
            return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(sep=' ')}+00:00"
        return moment.isoformat(sep=" ")

    def between(self, name: str, kind: str, bounds: Bounds) -> tuple[str, tuple[Any, ...]] | None:
        """A timestamp without a zone is local, and so is a day."""
        if not kind.startswith(("timestamp", "date")):
            return None
        local = "tz=" not in kind
        first, last = self.parameter(0, local=local), self.parameter(1, local=local)
        values = (bounds.local_start, bounds.local_end) if local else (bounds.start, bounds.end)
        column = self.quoted(name)
        return f"{column} >= {first} AND {column} < {last}", tuple(self.value(moment) for moment in values)


class SnowflakeSession(WarehouseSession):
    """Snowflake, whose moments are TIMESTAMP_TZ and whose local times TIMESTAMP_NTZ."""

    def parameter(self, position: int, *, local: bool) -> str:
        """A question mark with its type."""
        return f"CAST(? AS {'TIMESTAMP_NTZ' if local else 'TIMESTAMP_TZ'})"


class BigQuerySession(WarehouseSession):
    """BigQuery: moments are TIMESTAMP, local times DATETIME, and names stand in backticks."""

    quote = "`"

    def parameter(self, position: int, *, local: bool) -> str:
        """A question mark with its type."""
        return f"CAST(? AS {'DATETIME' if local else 'TIMESTAMP'})"


class RedshiftSession(WarehouseSession):
    """Redshift, with the parameters of PostgreSQL."""

    def parameter(self, position: int, *, local: bool) -> str:
        """A numbered parameter, which comes as a text."""
        return f"CAST(${position + 1}::text AS {'timestamp' if local else 'timestamptz'})"

    def null(self, *, local: bool) -> str:
        """A NULL of the parameter's type."""
        return f"CAST(NULL AS {'timestamp' if local else 'timestamptz'})"


def snowflake_options(connection: Connection) -> dict[str, str]:
    """Airflow's: the account, warehouse, database and role stand in the connection's extra."""
    extra = _extra(connection, "snowflake")
    options = {
        "username": connection.login,
        "password": connection.password,
        "adbc.snowflake.sql.account": extra.get("account") or connection.host,
        "adbc.snowflake.sql.db": extra.get("database"),
        "adbc.snowflake.sql.schema": connection.schema or extra.get("schema"),
        "adbc.snowflake.sql.warehouse": extra.get("warehouse"),
        "adbc.snowflake.sql.role": extra.get("role"),
        "adbc.snowflake.sql.client_option.app_name": "evergreen",
        # Otherwise it tries for minutes, and what is wrong is never told.
        "adbc.snowflake.sql.client_option.login_timeout": "60s",
        # Otherwise a time after 2262 becomes another one.
        "adbc.snowflake.sql.client_option.max_timestamp_precision": "nanoseconds_error_on_overflow",
    }
    if key := extra.get("private_key_file"):
        options["adbc.snowflake.sql.auth_type"] = "auth_jwt"
        options["adbc.snowflake.sql.client_option.jwt_private_key"] = key
    return _given(options)


def bigquery_options(connection: Connection) -> dict[str, str]:
    """Airflow's: project and key (a file, or its content) stand in the extra; the schema is the dataset."""
    extra = _extra(connection, "google_cloud_platform")
    options = {
        "adbc.bigquery.sql.project_id": extra.get("project") or extra.get("project_id"),
        "adbc.bigquery.sql.dataset_id": connection.schema or extra.get("dataset"),
    }
    kind = "adbc.bigquery.sql.auth_type"
    if key := extra.get("keyfile_dict"):
        options[kind] = f"{kind}.json_credential_string"
        options["adbc.bigquery.sql.auth_credentials"] = key if isinstance(key, str) else json.dumps(key)
    elif path := extra.get("key_path"):
        options[kind] = f"{kind}.json_credential_file"
        options["adbc.bigquery.sql.auth_credentials"] = path
    else:
        options[kind] = f"{kind}.auth_bigquery"
    return _given(options)


def flight_sql_options(connection: Connection) -> dict[str, str]:
    """TLS unless the extra says `"tls": false`; a password without a login is a bearer token."""
    scheme = "grpc" if connection.extra.get("tls") is False else "grpc+tls"
    options = {"uri": f"{scheme}://{connection.host or 'localhost'}:{connection.port or 32010}"}
    if connection.login:
        options |= {"username": connection.login, "password": connection.password or ""}
    elif connection.password:
        options["adbc.flight.sql.authorization_header"] = f"Bearer {connection.password}"
    return options


def redshift_options(connection: Connection) -> dict[str, str]:
    """As PostgreSQL's, at Redshift's port."""
    from dataclasses import replace

    from evergreen.postgres import conninfo

    return {"uri": conninfo(replace(connection, port=connection.port or 5439))}


def reader(
    driver: str, session: type[WarehouseSession], options: Options
) -> Callable[[Connection, timedelta], AbstractContextManager[WarehouseSession]]:
    """An opener by a driver's `dbapi` module, which is imported when it is called."""

    @contextmanager
    def opened(connection: Connection, timeout: timedelta) -> Iterator[WarehouseSession]:
        deadline = Deadline(timeout)
        with translated(connection, ERRORS, meaning):
            given = dict(options(connection))
            address = [given.pop("uri")] if "uri" in given else []
            connect = importlib.import_module(f"{driver}.dbapi").connect
            # What was read is never committed.
            with closing(deadline.abandoning(lambda: connect(*address, db_kwargs=given))) as found:
                yield session(found, deadline)

    return opened


def _extra(connection: Connection, kind: str) -> dict[str, Any]:
    """The extra, of which older versions of Airflow wrote the names with a prefix."""
    prefix = _EXTRA.format(kind=kind)
    return {name.removeprefix(prefix): value for name, value in connection.extra.items()}


def _given(options: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in options.items() if value}


read_snowflake = reader("adbc_driver_snowflake", SnowflakeSession, snowflake_options)
read_bigquery = reader("adbc_driver_bigquery", BigQuerySession, bigquery_options)
read_flight_sql = reader("adbc_driver_flightsql", WarehouseSession, flight_sql_options)
read_redshift = reader("adbc_driver_postgresql", RedshiftSession, redshift_options)
