"""Connections to databases and APIs, as Airflow keeps them.

Inside Airflow the operators hand over Airflow's own connections; in a shell the same
`AIRFLOW_CONN_<ID>` variables are read here, in either of Airflow's two forms (JSON or URI).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from evergreen.errors import SourceError

if TYPE_CHECKING:
    from evergreen.storage import Credentials


@dataclass(frozen=True)
class Connection:
    """The address and credentials of a source. Secrets are left out of its `repr`."""

    conn_id: str
    conn_type: str
    host: str | None = None
    port: int | None = None
    login: str | None = None
    password: str | None = field(default=None, repr=False)
    schema: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)


_ID = re.compile(r"[\w.-]+")

Connect = Callable[[str], Connection]
"""Looks up a connection by its id; raises `SourceError` where there is none."""


def from_environment(conn_id: str, variables: Mapping[str, str] | None = None) -> Connection:
    """The connection in the variable `AIRFLOW_CONN_<ID>`; raises `SourceError` if absent or malformed.

    It is looked for in `variables`, by default this process's.
    """
    if not _ID.fullmatch(conn_id):
        raise SourceError(
            f"'{conn_id}' is no file and no connection: name a file that is there, or the id of one"
        )
    variable = f"AIRFLOW_CONN_{conn_id.upper()}"
    text = (os.environ if variables is None else variables).get(variable)
    if not text:
        raise SourceError(f"connection '{conn_id}' is not defined: set {variable} or add it in Airflow")
    try:
        return _from_json(conn_id, text) if text.lstrip().startswith("{") else _from_uri(conn_id, text)
    except (ValueError, TypeError, KeyError):
        # The text holds secrets, so the message must not repeat it.
        raise SourceError(
            f"connection '{conn_id}': {variable} is neither Airflow's JSON nor its URI form: write it "
            "like postgres://user@host/database"
        ) from None


def storage_keys(connection: Connection) -> Credentials:
    """The keys of an S3 store: login, password, and `endpoint_url` and `region_name` in the extra."""
    from evergreen.storage import Credentials

    return Credentials(
        endpoint_url=connection.extra.get("endpoint_url"),
        region=connection.extra.get("region_name", "us-east-1"),
        access_key=connection.login,
        secret_key=connection.password,
        session_token=connection.extra.get("aws_session_token"),
    )


def _from_json(conn_id: str, text: str) -> Connection:
    values = json.loads(text)
    extra = values.get("extra") or {}
    return Connection(
        conn_id=conn_id,
        conn_type=values["conn_type"],
        host=values.get("host"),
        port=int(values["port"]) if values.get("port") else None,
        login=values.get("login"),
        password=values.get("password"),
        schema=values.get("schema"),
        extra=json.loads(extra) if isinstance(extra, str) else extra,
    )


def _from_uri(conn_id: str, text: str) -> Connection:
    parts = urlsplit(text)
    if not parts.scheme:
        raise ValueError("no scheme")
    query = dict(parse_qsl(parts.query))
    extra = json.loads(query.pop("__extra__")) if "__extra__" in query else query
    return Connection(
        conn_id=conn_id,
        conn_type={"postgresql": "postgres"}.get(parts.scheme, parts.scheme),
        host=unquote(parts.hostname) if parts.hostname else None,
        port=parts.port,
        login=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        # As Airflow and SQLAlchemy have it, the path of a file begins with a slash of its own.
        schema=unquote(parts.path.removeprefix("/")) or None,
        extra=extra,
    )


SECRET = re.compile(r"pass|secret|token|key|credential|pat\b", re.IGNORECASE)


def redacted(text: str, connection: Connection) -> str:
    """The text on one line of at most 300 characters, in which no secret of the connection stands."""
    for secret in sorted(
        _secrets({**connection.extra, "password": connection.password}), key=len, reverse=True
    ):
        escaped = secret.replace("\\", "\\\\").replace("'", "\\'")
        for form in {secret, quote(secret, safe=""), quote(secret), escaped}:
            text = text.replace(form, "***")
    text = " ".join(text.split())
    # The problem may be at the end, after a long value.
    return text if len(text) <= 300 else f"{text[:145]} ... {text[-145:]}"


def _secrets(values: Mapping[str, Any]) -> set[str]:
    """The texts whose names call them secrets, at any depth."""
    found: set[str] = set()
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= _secrets(value)
        elif isinstance(value, str) and value and SECRET.search(name):
            found.add(value)
    return found
