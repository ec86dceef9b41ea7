"""Receivers that are really there: an SMTP server and an HTTP server on free ports of 127.0.0.1."""

from __future__ import annotations

import json
import logging
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.servers import unused_port


@dataclass
class Mailbox:
    """What an SMTP server took; `port` is where it listens."""

    mails: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0
    certificate: Path | None = None
    refuses: str = ""
    takes_logins: bool = True

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if address == self.refuses:
            return f"550 there is no {address}"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
        self.envelopes.append((envelope.mail_from, envelope.rcpt_tos))
        return "250 OK"

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=self.takes_logins, handled=False)


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """An SMTP server without TLS, that takes any login."""
    box = Mailbox(port=unused_port())
    controller = Controller(
        box,
        hostname="127.0.0.1",
        port=box.port,
        authenticator=box.authenticate,
        auth_require_tls=False,
    )
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # the server's own, which shows what it is told
    controller.start()
    yield box
    controller.stop()


@pytest.fixture
def tls_mailbox(tmp_path: Path) -> Iterator[Callable[[str], Mailbox]]:
    """Starts SMTP servers with TLS (`tls`, from the start, or `starttls`) and a certificate of their own."""
    controllers = []

    def start(security: str) -> Mailbox:
        box = Mailbox(port=unused_port(), certificate=tmp_path / "server.pem")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate_for_localhost(tmp_path / "server.pem"))
        options: dict[str, Any] = {
            "hostname": "127.0.0.1",
            "port": box.port,
            "authenticator": box.authenticate,
        }
        if security == "tls":
            # The login is as safe as with STARTTLS, which alone aiosmtpd counts.
            controller = Controller(box, ssl_context=context, auth_require_tls=False, **options)
        else:
            controller = Controller(box, tls_context=context, require_starttls=True, **options)
        controller.start()
        controllers.append(controller)
        return box

    logging.getLogger("mail.log").setLevel(logging.CRITICAL)
    yield start
    for controller in controllers:
        controller.stop()


def certificate_for_localhost(file: Path) -> Path:
    """Writes a key and a certificate that it has signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    return file


@dataclass
class Request:
    """A request that an HTTP server took."""

    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class HttpReceiver:
    """An HTTP server: what it took, and what it answers (`status`, `headers`, `body`)."""

    requests: list[Request] = field(default_factory=list)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    port: int = 0
    before: Callable[[], object] = lambda: None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def subjects(self) -> list[str]:
        return [request.body["title"] for request in self.requests]


def serve() -> tuple[HttpReceiver, ThreadingHTTPServer]:
    receiver = HttpReceiver()

    class Takes(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.before()
            receiver.requests.append(Request(self.path, dict(self.headers), json.loads(body)))
            self.send_response(receiver.status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(receiver.body)))
            self.end_headers()
            self.wfile.write(receiver.body)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Takes)
    receiver.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return receiver, server


@pytest.fixture
def new_receiver() -> Iterator[Callable[[], HttpReceiver]]:
    """Starts HTTP receivers."""
    servers: list[ThreadingHTTPServer] = []

    def start() -> HttpReceiver:
        receiver, server = serve()
        servers.append(server)
        return receiver

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def webhook(new_receiver: Callable[[], HttpReceiver]) -> HttpReceiver:
    """An HTTP receiver."""
    return new_receiver()
