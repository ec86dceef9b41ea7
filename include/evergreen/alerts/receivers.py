"""Sending a message to where a connection leads: e-mail, Slack, a webhook, or any address apprise knows.

The work is done by apprise (https://github.com/caronc/apprise). Addresses and tokens are secrets: nothing
here, nor what apprise and the HTTP client say meanwhile, puts them into a log or an error. No redirect is
followed.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from evergreen.alerts.alert import Message
from evergreen.errors import SourceError

if TYPE_CHECKING:
    from apprise.plugins.base import NotifyBase

    from evergreen.connections import Connection
    from evergreen.spec.alerts import Severity

SLACK = "https://hooks.slack.com/services"
_TIMEOUTS = {"cto": 10.0, "rto": 20.0}  # seconds: to connect, and from byte to byte
_TYPES: dict[Severity, str] = {"info": "info", "warning": "warning", "critical": "failure"}
_sending = threading.RLock()
_STATUS = re.compile(r"error=(\d{3})\b")


def send(connection: Connection, message: Message) -> str | None:
    """Send the message; None if it was taken, else in some words why not.

    Raises `SourceError` for a connection that cannot receive alerts.
    """
    with _quiet() as said:
        from apprise import Apprise, NotifyFormat, NotifyType

        service = service_of(connection, message)
        taken = Apprise(services=[service]).notify(
            title=message.subject,
            body=message.text,
            notify_type=NotifyType(_TYPES[message.severity]),
            body_format=NotifyFormat.TEXT,
        )
    if taken:
        return None
    status = next((found[1] for line in said if (found := _STATUS.search(line))), None)
    return f"it answered {status}" if status else "it cannot be reached, or did not take the message"


def service_of(connection: Connection, message: Message) -> NotifyBase:
    """What apprise sends the message with. Raises `SourceError` for a connection that cannot receive any."""
    kind = "url" if connection.extra.get("url") else connection.conn_type
    make = _SERVICES.get(kind)
    if make is None:
        raise _unfit(
            connection,
            f"its type '{connection.conn_type}' is none of smtp, slackwebhook, slack, http, https, nor has "
            "its extra an apprise address as 'url'",
        )
    with _quiet():
        from apprise.exception import AppriseException

        try:
            service: NotifyBase | None = make(connection, message)
        except (AppriseException, TypeError, ValueError):
            service = None
    if service is None:
        raise _unfit(connection, "apprise cannot make an address of it")
    return service


def _mail(connection: Connection, message: Message) -> Any:
    extra, login = connection.extra, connection.login or ""
    to = extra.get("to")
    sender = extra.get("from_email") or (login if "@" in login else None)
    if not (connection.host and to and sender):
        raise _unfit(connection, "it needs a host, and 'from_email' and 'to' in its extra")
    plain = {
        name: str(extra.get(name, "")).lower() in ("true", "1") for name in ("disable_ssl", "disable_tls")
    }
    mode = "ssl"
    if plain["disable_ssl"]:
        mode = "insecure" if plain["disable_tls"] else "starttls"
    service = _plugin("email.base", "NotifyEmail")(
        smtp_host=connection.host,
        host=connection.host,
        port=connection.port,
        secure=mode != "insecure",
        secure_mode=mode,
        from_addr=f"Evergreen <{sender}>" if "<" not in sender else sender,
        targets=to if isinstance(to, str) else ",".join(to),
        format="text",
        **_login(connection),
        **_common(),
    )
    return service if service.targets else None


def _slack_webhook(connection: Connection, message: Message) -> Any:
    token = (connection.password or "").strip()
    base = connection.host or SLACK
    if "://" not in base:
        port = f":{connection.port}" if connection.port else ""
        base = f"{connection.schema or 'https'}://{base}{port}"
    url = token if "://" in token else f"{base.rstrip('/')}/{token.lstrip('/')}"
    parts = url.rsplit("/", 3)
    if len(parts) < 4 or "://" not in parts[0]:
        raise _unfit(connection, "its password is not the webhook's address, nor 'T.../B.../...'")
    service = _plugin("slack", "NotifySlack")(
        token_a=parts[1], token_b=parts[2], token_c=parts[3], **_plain_slack(), **_common()
    )
    service.webhook_url = parts[0]
    return service


def _slack(connection: Connection, message: Message) -> Any:
    channel = connection.extra.get("channel")
    if not (connection.password and channel):
        raise _unfit(connection, "it needs a token as its password, and the 'channel' in its extra")
    service = _plugin("slack", "NotifySlack")(
        access_token=connection.password, targets=[channel], **_plain_slack(), **_common()
    )
    if base := connection.extra.get("base_url"):
        service.api_url = f"{str(base).rstrip('/')}/{{}}"
    return service


def _webhook(connection: Connection, message: Message) -> Any:
    import httpx

    from evergreen.sources.http.client import api_of

    whole = _with_path(connection)
    api = api_of(whole, {})
    query = urlsplit(whole.host or "").query
    url = api.url(api.base.raw_path.decode("ascii") + (f"?{query}" if query else ""))
    headers = dict(api.headers)
    headers.pop("accept-encoding", None)
    if api.auth is not None:
        headers.update(next(api.auth.auth_flow(httpx.Request("POST", url))).headers)
        headers.pop("host", None)
        headers.pop("content-length", None)
    return _plugin("custom_json", "NotifyJSON")(
        host=url.host,
        port=url.port,
        secure=url.scheme == "https",
        fullpath=url.raw_path.decode("ascii"),
        headers=headers,
        payload=_payload(message.facts),
        **_common(),
    )


def _with_path(connection: Connection) -> Connection:
    """The connection with its whole address as host: in the URI form, a path has become the schema."""
    host, path = connection.host or "", connection.schema or ""
    if not host or "://" in host or (connection.conn_type == "http" and path in ("", "http", "https")):
        return connection
    port = f":{connection.port}" if connection.port else ""
    path = "" if path in ("http", "https") else path
    return replace(connection, host=f"{connection.conn_type}://{host}{port}/{path}".rstrip("/"), port=None)


def _address(connection: Connection, message: Message) -> Any:
    from apprise import Apprise

    return Apprise.instantiate(str(connection.extra["url"]), asset=_common()["asset"])


_SERVICES: dict[str, Callable[[Connection, Message], Any]] = {
    "smtp": _mail,
    "slackwebhook": _slack_webhook,
    "slack": _slack,
    "http": _webhook,
    "https": _webhook,
    "url": _address,
}


def _plugin(module: str, name: str) -> Any:
    return getattr(import_module(f"apprise.plugins.{module}"), name)


def _payload(facts: Mapping[str, str]) -> dict[str, str]:
    # To apprise, one of its own fields without a value is a field to leave out.
    return {"version": "", "attachments": "", "type": "", **facts}


def _common() -> dict[str, Any]:
    from apprise import AppriseAsset

    asset = AppriseAsset(app_id="Evergreen", http_redirects=False, storage_mode="memory")
    return {"asset": asset, **_TIMEOUTS}


def _login(connection: Connection) -> dict[str, str]:
    # Apprise takes both for parts of a URL, and unquotes them.
    if not connection.login or not connection.password:
        return {}
    return {"user": quote(connection.login, safe=""), "password": quote(connection.password, safe="")}


def _plain_slack() -> dict[str, bool]:
    return {"include_image": False, "include_footer": False}


def _unfit(connection: Connection, why: str) -> SourceError:
    return SourceError(
        f"connection '{connection.conn_id}' cannot receive alerts: {why}: mend the connection, or name "
        "another in alerts.to"
    )


@contextmanager
def _quiet() -> Iterator[list[str]]:
    """Keep what is said while a message is sent out of every log: at debug level, all of it is secrets.

    Yields the lines that apprise itself says in warning. One message is sent at a time, for loggers are the
    whole program's.
    """
    said: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    with _sending:
        named = [logging.getLogger(name) for name in ("apprise", "urllib3", "requests", "charset_normalizer")]
        before = [(logger, logger.level, logger.propagate, logger.handlers) for logger in named]
        for logger in named:
            logger.setLevel(logging.WARNING)
            logger.propagate = False
            logger.handlers = [Keep()] if logger.name == "apprise" else [logging.NullHandler()]
        try:
            yield said
        finally:
            for logger, level, propagate, handlers in before:
                logger.setLevel(level)
                logger.propagate = propagate
                logger.handlers = handlers
