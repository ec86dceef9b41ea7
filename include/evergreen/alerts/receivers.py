"""Sending a message to where a connection leads: e-mail, Slack, a webhook, or an address that apprise knows.

Addresses and tokens are secrets: nothing here puts them into a log or an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from evergreen.alerts.mail import Mail, mail_of
from evergreen.alerts.post import Post
from evergreen.alerts.service import Service, service_of
from evergreen.errors import SourceError

if TYPE_CHECKING:
    from evergreen.alerts.alert import Message
    from evergreen.connections import Connection
    from evergreen.spec.alerts import Severity

SLACK = "https://hooks.slack.com/services"
SLACK_API = "https://slack.com/api"
_COLOURS: dict[Severity, str] = {"info": "#3aa3e3", "warning": "#caa100", "critical": "#a32037"}
_TOKEN = re.compile(r"[\x21-\x7e]+")
_WEBHOOK = re.compile(r"https?://[^\s/]+(/[\w.~-]+)*(/[\w-]+){3}")


def send(connection: Connection, message: Message) -> str | None:
    """Send the message; None if it was taken, else in some words why not.

    Raises `SourceError` for a connection that cannot receive alerts.
    """
    return addressed(connection, message).send()


def addressed(connection: Connection, message: Message) -> Mail | Post | Service:
    """The message as it is sent there. Raises `SourceError` for a connection that cannot receive any."""
    if connection.extra.get("url"):
        return service_of(connection, message)
    make = KINDS.get(connection.conn_type)
    if make is None:
        raise _unfit(
            connection,
            f"its type '{connection.conn_type}' is none of {', '.join(KINDS)}, and its extra has no apprise "
            "address as 'url'",
        )
    try:
        return make(connection, message)
    except ValueError as error:
        raise _unfit(connection, str(error)) from None


def _slack_webhook(connection: Connection, message: Message) -> Post:
    token = (connection.password or "").strip()
    base = connection.host or SLACK
    if "://" not in base:
        port = f":{connection.port}" if connection.port else ""
        base = f"{connection.schema or 'https'}://{base}{port}"
    url = token if "://" in token else f"{base.rstrip('/')}/{token.lstrip('/')}"
    if not _WEBHOOK.fullmatch(url):
        raise ValueError("its password is not the webhook's address, nor 'T.../B.../...'")
    return Post(url, _attachment(message))


def _slack(connection: Connection, message: Message) -> Post:
    token, channel = connection.password or "", connection.extra.get("channel")
    if not (_TOKEN.fullmatch(token) and channel):
        raise ValueError("it needs a token as its password, and the 'channel' in its extra")
    base = str(connection.extra.get("base_url") or SLACK_API).rstrip("/")
    return Post(
        f"{base}/chat.postMessage",
        {"channel": channel, **_attachment(message)},
        {"Authorization": f"Bearer {token}"},
        says_ok=True,
    )


def _attachment(message: Message) -> dict[str, Any]:
    title, text = (escape(words, quote=False) for words in (message.subject, message.text))
    return {"attachments": [{"title": title, "text": text, "color": _COLOURS[message.severity]}]}


def _webhook(connection: Connection, message: Message) -> Post:
    import httpx

    from evergreen.sources.http.client import api_of

    whole = _with_path(connection)
    api = api_of(whole, {})
    if not api.is_plain:
        raise ValueError("an alert is sent with a token, basic authentication or a key, and nothing else")
    query = urlsplit(whole.host or "").query
    url = api.url(api.base.raw_path.decode("ascii") + (f"?{query}" if query else ""))
    request = httpx.Request("POST", url, headers=api.headers)
    if api.auth is not None:
        request = next(api.auth.auth_flow(request))
    own = ("host", "content-length", "accept-encoding")
    headers = {name: value for name, value in request.headers.items() if name not in own}
    body = {"title": message.subject, "message": message.text, **message.facts}
    return Post(str(url), body, headers)


def _with_path(connection: Connection) -> Connection:
    """The connection with its whole address as host: in the URI form, a path has become the schema."""
    host, path = connection.host or "", connection.schema or ""
    if not host or "://" in host or (connection.conn_type == "http" and path in ("", "http", "https")):
        return connection
    port = f":{connection.port}" if connection.port else ""
    path = "" if path in ("http", "https") else path
    return replace(connection, host=f"{connection.conn_type}://{host}{port}/{path}".rstrip("/"), port=None)


KINDS: dict[str, Callable[[Connection, Message], Mail | Post]] = {
    "smtp": mail_of,
    "slackwebhook": _slack_webhook,
    "slack": _slack,
    "http": _webhook,
    "https": _webhook,
}
"""The types of connections that can receive alerts."""


def _unfit(connection: Connection, why: str) -> SourceError:
    return SourceError(
        f"connection '{connection.conn_id}' cannot receive alerts: {why}: fix the connection, or name "
        "another in alerts.to"
    )
