"""TLS of a connection: the authority that is trusted, and the certificate that this client shows."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import httpx

from evergreen.errors import SourceError

_ALERTS = re.compile("ALERT_.*(CERTIFICATE|UNKNOWN_CA|HANDSHAKE_FAILURE)")  # as OpenSSL names them


@dataclass(frozen=True)
class Tls:
    """The files of a connection: PEM of a certificate, of its key and of authorities; all are optional.

    Without `key` the certificate's file holds the key too. With `ca` only its authorities are trusted.
    """

    certificate: Path | None = None
    key: Path | None = None
    password: str | None = field(default=None, repr=False)
    ca: Path | None = None

    def context(self, conn_id: str) -> ssl.SSLContext:
        """The context for a client. The files are read each time, because certificates are renewed.

        Raises `SourceError` for a file that is missing, is no PEM, needs another password, or a key that is
        not the certificate's.
        """
        if self.key and not self.certificate:
            raise SourceError(
                f"connection '{conn_id}': 'client_key' in its extra needs 'client_cert' beside it"
            )
        if not self.certificate and not self.ca:
            return trusted()
        context = self._authorities(conn_id)
        if self.certificate:
            try:
                # Without a password OpenSSL would ask for one at the terminal.
                context.load_cert_chain(self.certificate, self.key, password=self.password or "")
            except FileNotFoundError:
                raise SourceError(
                    f"connection '{conn_id}': the file of 'client_cert' or 'client_key' in its extra "
                    "is not there: name files that are"
                ) from None
            except (OSError, ValueError):  # an SSLError is an OSError
                raise SourceError(
                    f"connection '{conn_id}': 'client_cert' and 'client_key' in its extra are no certificate "
                    "and its key in PEM, or 'client_key_password' is not the key's: give both again"
                ) from None
        return context

    def _authorities(self, conn_id: str) -> ssl.SSLContext:
        if self.ca is None:
            return httpx.create_ssl_context()
        try:
            return ssl.create_default_context(cafile=self.ca)
        except OSError:
            raise SourceError(
                f"connection '{conn_id}': 'ca' in its extra is no readable file of certificates in PEM: "
                "name one"
            ) from None


@cache
def trusted() -> ssl.SSLContext:
    """The context with the usual authorities and no certificate of this client."""
    # Loading the authorities' certificates takes longer than reading a page.
    return httpx.create_ssl_context()


def refusal(error: BaseException) -> str | None:
    """Why no retry will help, if a request failed because one side did not accept the other's certificate."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                "its TLS certificate is not trusted: set 'ca' in the connection's extra to its authority's "
                "file, or check the host"
            )
        if isinstance(cause, ssl.SSLError) and _ALERTS.search(cause.reason or ""):
            return (
                "it did not accept this client's TLS certificate: set 'client_cert' and 'client_key' in the "
                "connection's extra"
            )
        cause = cause.__cause__ or cause.__context__
    return None
