"""A message as e-mail: what is sent to which server, and why it was not taken. Nothing here is logged."""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formataddr, formatdate, getaddresses, make_msgid, parseaddr
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from evergreen.errors import one_line

if TYPE_CHECKING:
    from evergreen.alerts.alert import Message, Page
    from evergreen.connections import Connection

_TIMEOUT = 20.0  # seconds: to connect, and from byte to byte


class Security(StrEnum):
    """How the connection to a mail server is encrypted: from the start, from STARTTLS on, or not at all."""

    TLS = "tls"
    STARTTLS = "starttls"
    NONE = "none"


_PORTS = {Security.TLS: 465, Security.STARTTLS: 587, Security.NONE: 25}


@dataclass(frozen=True)
class Mail:
    """A mail in plain text for each of the addresses `to`, with a page as its attachment if there is one."""

    host: str
    port: int
    security: Security
    sender: str
    to: tuple[str, ...]
    subject: str
    text: str = field(repr=False)
    login: str | None = None
    password: str | None = field(default=None, repr=False)
    page: Page | None = None

    def send(self) -> str | None:
        """Send it; None if all of it was taken, else in some words why not.

        A server's own words are left out: they may repeat the login.
        """
        try:
            with self._connected() as server:
                if self.login and self.password:
                    server.login(self.login, self.password)
                for address in self.to:
                    server.send_message(self._to(address), parseaddr(self.sender)[1], [address])
        except (smtplib.SMTPException, OSError, ValueError) as error:
            return _why_not(error)
        return None

    def _connected(self) -> smtplib.SMTP:
        if self.security is Security.TLS:
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(self.host, self.port, timeout=_TIMEOUT, context=context)
        server = smtplib.SMTP(self.host, self.port, timeout=_TIMEOUT)
        if self.security is Security.STARTTLS:
            try:
                server.starttls(context=ssl.create_default_context())
            except BaseException:
                server.close()
                raise
        return server

    def _to(self, address: str) -> EmailMessage:
        mail = EmailMessage()
        mail["Subject"] = self.subject
        mail["From"] = self.sender
        mail["To"] = address
        mail["Date"] = formatdate()
        mail["Message-ID"] = make_msgid(domain=parseaddr(self.sender)[1].rpartition("@")[2])
        mail.set_content(self.text)
        if self.page:
            mail.add_attachment(
                self.page.body, "text", "html", filename=self.page.name, params={"charset": "utf-8"}
            )
        return mail


def _why_not(error: Exception) -> str:
    match error:
        case smtplib.SMTPAuthenticationError():
            return f"it refused the login ({error.smtp_code})"
        case smtplib.SMTPRecipientsRefused():
            codes = sorted({code for code, _ in error.recipients.values()})
            return f"it refused an address ({', '.join(map(str, codes))})"
        case smtplib.SMTPResponseException():
            return f"it answered {error.smtp_code}"
        case ssl.SSLCertVerificationError():
            return "its certificate is not trusted"
        case smtplib.SMTPException() | UnicodeError():
            return f"it did not take the mail ({type(error).__name__})"
    return f"it cannot be reached ({type(error).__name__})"


def mail_of(connection: Connection, message: Message) -> Mail:
    """The mail that a connection of type `smtp` asks for; raises `ValueError` saying what it lacks."""
    extra, login = connection.extra, connection.login or ""
    sender = str(extra.get("from_email") or (login if "@" in login else ""))
    to = extra.get("to") or ()
    if not (connection.host and to and sender):
        raise ValueError("it needs a host, and 'from_email' and 'to' in its extra")
    addresses = [address for _, address in getaddresses([to] if isinstance(to, str) else map(str, to))]
    name, own = parseaddr(sender)
    if not all("@" in address and address.isprintable() for address in (own, *addresses)):
        raise ValueError("'from_email' and 'to' in its extra must be addresses like ann@example.org")
    security = _security(extra)
    return Mail(
        host=connection.host,
        port=connection.port or _PORTS[security],
        security=security,
        sender=formataddr((name or "Evergreen", own)),
        to=tuple(addresses),
        subject=one_line(message.subject),
        text=message.text,
        login=connection.login,
        password=connection.password,
        page=message.page,
    )


def _security(extra: Any) -> Security:
    """As Airflow's own SMTP provider understands a connection."""
    plain = {
        name: str(extra.get(name, "")).lower() in ("true", "1") for name in ("disable_ssl", "disable_tls")
    }
    if not plain["disable_ssl"]:
        return Security.TLS
    return Security.NONE if plain["disable_tls"] else Security.STARTTLS
