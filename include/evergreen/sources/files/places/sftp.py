"""A server's disk, by SFTP. Only a server whose key is known is talked to."""

from __future__ import annotations

import base64
import hashlib
import io
import logging
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, NoReturn

import paramiko
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
)
from pydantic import Field, field_validator

from evergreen.connections import Connection
from evergreen.errors import SourceError
from evergreen.sources.attempts import StumbleError
from evergreen.sources.extra import Extra
from evergreen.sources.files.address import Address
from evergreen.sources.files.patterns import Entry, Pattern
from evergreen.sources.files.places.absent import AbsentError
from evergreen.sources.files.places.ranges import Version, attempts_at, copy_in_pieces, is_there
from evergreen.storage import Storage

_PORT = 22
_CONNECT, _SILENCE = 10.0, 30.0  # seconds
_KEYS: dict[type, Any] = {
    Ed25519PrivateKey: paramiko.Ed25519Key,
    EllipticCurvePrivateKey: paramiko.ECDSAKey,
    RSAPrivateKey: paramiko.RSAKey,
}

# The library logs each broken connection with its traceback; what is wrong is said by the errors here.
logging.getLogger("paramiko.transport").setLevel(logging.CRITICAL)


class SftpSettings(Extra):
    """The keys of the extra beside host, port, login and password.

    `host_key` is the server's public key as in a line of `known_hosts`, a file whose place `known_hosts` may
    name. `private_key`, or the file `key_file`, is this client's, with `private_key_passphrase`.
    """

    host_key: str | None = None
    known_hosts: Path | None = None
    private_key: str | None = Field(default=None, repr=False)
    key_file: Path | None = None
    private_key_passphrase: str | None = Field(default=None, repr=False)

    @field_validator("host_key")
    @classmethod
    def _is_key(cls, value: str | None) -> str | None:
        if value is not None:
            _public_key(value)
        return value


def open_sftp(address: Address, connection: Connection | None, _: Storage | None) -> Sftp:
    """The disk of the connection's server, which must be the one that the address names."""
    if connection is None:
        raise SourceError(f"{address.top} needs a connection with its login and host key: name it")
    where = f"connection '{connection.conn_id}'"
    settings = SftpSettings.read(connection, "a connection to SFTP")
    if not connection.host or not connection.login:
        raise SourceError(
            f"{where} has no {'login' if connection.host else 'host'}, which SFTP needs: set it"
        )
    port = connection.port or _PORT
    if address.root.lower() not in (connection.host.lower(), f"{connection.host}:{port}".lower()):
        raise SourceError(
            f"{where} is for the host {connection.host}:{port}, and the path begins with {address.top}: "
            "write the same host in both"
        )
    key = _private_key(connection, settings)
    if key is None and not connection.password:
        raise SourceError(
            f"{where} has no password, and its extra neither 'private_key' nor 'key_file': set one"
        )
    return Sftp(address, connection, settings, key)


class Sftp:
    """The files of the server of an address, by one connection, which is opened when it is needed."""

    def __init__(
        self, address: Address, connection: Connection, settings: SftpSettings, key: paramiko.PKey | None
    ) -> None:
        self._top, self._name = address.top, address.name
        self._connection, self._settings, self._key = connection, settings, key
        # When nobody holds it any more, the library closes its connection.
        self._client: paramiko.SSHClient | None = None
        self._sftp: paramiko.SFTPClient | None = None

    def matching(self, pattern: str) -> list[str]:
        """The paths that match; only folders that the pattern can match are listed."""
        attempts = attempts_at(self._name(pattern))
        return Pattern(pattern).below("", lambda folder: attempts.run(partial(self._entries, folder)))

    def exists(self, path: str) -> bool:
        """Whether there is a file or a folder at a path."""
        return is_there(self._name(path), partial(self._attributes, path))

    def copy(self, path: str, file: IO[bytes]) -> None:
        """Copy a file, all of one version by its size and the time of its last change."""
        copy_in_pieces(self._name(path), file, partial(self._version, path), partial(self._piece, path))

    def _version(self, path: str) -> Version:
        found = self._attributes(path)
        if stat.S_ISDIR(found.st_mode or 0):
            raise SourceError(f"{self._name(path)} is no file: change the source's path")
        return _version_of(found)

    def _attributes(self, path: str) -> paramiko.SFTPAttributes:
        with self._session(path) as sftp:
            return sftp.stat(f"/{path}")

    def _piece(self, path: str, start: int, end: int) -> tuple[bytes, Version]:
        with self._session(path) as sftp, sftp.open(f"/{path}", "rb") as file:
            file.seek(start)
            file.prefetch(end)
            content = file.read(end - start)
            version = _version_of(file.stat())
        if len(content) != end - start:
            raise StumbleError("the server sent less than was asked for")
        return content, version

    def _entries(self, folder: str) -> list[Entry]:
        try:
            with self._session(folder) as sftp:
                return [
                    _entry(sftp, folder, each) for each in sftp.listdir_attr(f"/{folder}".rstrip("/") or "/")
                ]
        except AbsentError:
            return []

    @contextmanager
    def _session(self, path: str) -> Iterator[paramiko.SFTPClient]:
        name = self._name(path)
        try:
            yield self._connected()
        except FileNotFoundError:
            raise AbsentError.of(name) from None
        except PermissionError:
            raise SourceError(f"{name}: access denied: check what the connection's login may read") from None
        except UnicodeDecodeError:
            raise SourceError(f"{name}: a name there is not in UTF-8: rename it") from None
        except paramiko.AuthenticationException:
            raise SourceError(
                f"{name}: the server refused the login: check the connection's login, password and key"
            ) from None
        except paramiko.BadHostKeyException as error:
            raise SourceError(
                f"{name}: the server shows another key ({_fingerprint(error.key)}) than the known one: ask "
                "its owner, and correct 'host_key' in the connection's extra if it is right"
            ) from None
        except (paramiko.SSHException, OSError, EOFError):
            self._hang_up()
            raise StumbleError("the server cannot be reached, or broke off") from None

    def _connected(self) -> paramiko.SFTPClient:
        if self._sftp is None:
            self._client = paramiko.SSHClient()
            self._trust(self._client)
            self._client.connect(
                str(self._connection.host),
                self._connection.port or _PORT,
                self._connection.login,
                self._connection.password,
                pkey=self._key,
                timeout=_CONNECT,
                banner_timeout=_SILENCE,
                auth_timeout=_SILENCE,
                channel_timeout=_SILENCE,
                allow_agent=False,
                look_for_keys=False,
            )
            self._sftp = self._client.open_sftp()
            self._sftp.get_channel().settimeout(_SILENCE)
        return self._sftp

    def _trust(self, client: paramiko.SSHClient) -> None:
        host, port = str(self._connection.host), self._connection.port or _PORT
        client.set_missing_host_key_policy(_RefuseUnknown(self._top, self._connection.conn_id))
        if self._settings.host_key:
            key = _public_key(self._settings.host_key)
            known = host if port == _PORT else f"[{host}]:{port}"
            client.get_host_keys().add(known, key.get_name(), key)
            return
        try:
            client.load_system_host_keys(
                str(self._settings.known_hosts) if self._settings.known_hosts else None
            )
        except OSError:
            raise SourceError(
                f"connection '{self._connection.conn_id}': 'known_hosts' in its extra is no readable file: "
                "name one"
            ) from None

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = self._sftp = None


class _RefuseUnknown(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]
    def __init__(self, top: str, conn_id: str) -> None:
        self._top, self._conn_id = top, conn_id

    def missing_host_key(self, _: paramiko.SSHClient, __: str, key: paramiko.PKey) -> NoReturn:
        raise SourceError(
            f"{self._top}: the server's key ({_fingerprint(key)}) is not known: compare it with what its "
            f"owner says, and set 'host_key' in the extra of connection '{self._conn_id}' to its public key"
        )


def _entry(sftp: paramiko.SFTPClient, folder: str, found: paramiko.SFTPAttributes) -> Entry:
    mode, is_link = found.st_mode or 0, stat.S_ISLNK(found.st_mode or 0)
    if is_link:
        try:
            mode = sftp.stat(f"/{folder}{found.filename}").st_mode or 0
        except (FileNotFoundError, PermissionError):
            mode = 0  # as a file that cannot be read: a pattern that matches it says so
    return Entry(found.filename, stat.S_ISDIR(mode), is_link)


def _version_of(found: paramiko.SFTPAttributes) -> Version:
    return Version(found.st_size or 0, str(found.st_mtime))


def _fingerprint(key: paramiko.PKey) -> str:
    digest = base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")
    return f"{key.get_name()} SHA256:{digest}"


def _public_key(line: str) -> paramiko.PKey:
    """The key in a line of `known_hosts`, with or without host, type and comment."""
    try:
        (text,) = [part for part in line.split() if part.startswith("AAAA")]
        blob = base64.b64decode(text, validate=True)
        kind = blob[4 : 4 + int.from_bytes(blob[:4])].decode("ascii")
        return paramiko.PKey.from_type_string(kind, blob)
    except Exception:  # noqa: BLE001 - each kind of key has errors of its own
        raise ValueError(
            "must be a public key like 'ssh-ed25519 AAAA...', as `ssh-keyscan HOST` prints it"
        ) from None


def _private_key(connection: Connection, settings: SftpSettings) -> paramiko.PKey | None:
    where = f"connection '{connection.conn_id}'"
    text = settings.private_key
    if text and settings.key_file:
        raise SourceError(
            f"{where} has both 'private_key' and 'key_file' in its extra: leave one of them out"
        )
    if settings.key_file:
        try:
            text = settings.key_file.read_text()
        except (OSError, UnicodeDecodeError):
            raise SourceError(
                f"{where}: the file of 'key_file' in its extra cannot be read: name one that can"
            ) from None
    if not text:
        return None
    passphrase = settings.private_key_passphrase
    password = passphrase.encode() if passphrase else None
    for load in (load_ssh_private_key, load_pem_private_key):
        try:
            return _as_paramikos(load(text.strip().encode() + b"\n", password))
        except Exception:  # noqa: BLE001, S112 - each kind of key has errors of its own
            continue
    raise SourceError(
        f"{where}: its private key is none of Ed25519, ECDSA or RSA in OpenSSH's form or PEM, or "
        "'private_key_passphrase' in its extra is not the key's"
    )


def _as_paramikos(key: Any) -> paramiko.PKey:
    # Its own readers do not know every form of every kind of key.
    kind = next(ours for theirs, ours in _KEYS.items() if isinstance(key, theirs))
    return kind.from_private_key(
        io.StringIO(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode())
    )
