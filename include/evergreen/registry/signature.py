"""Signatures of versions, in the OpenSSF Model Signing format, by an elliptic-curve key.

A signature covers the SHA-256 of every file in a version's folder except itself, the manifest included. The
public command `model_signing verify key` accepts a copy of the folder only if all files are unchanged.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from evergreen.errors import EvergreenError, IntegrityError, SourceError, SpecError, one_line

if TYPE_CHECKING:
    from evergreen.connections import Connect, Connection
    from evergreen.spec import Models

SIGNATURE = "model.sig"
_PUBLIC = re.compile(r"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)
_CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})
_HOW = "see docs/how-to/models.md"


@dataclass(frozen=True)
class Keys:
    """A private key to sign with, if there is one, and the public ones to verify with; all PEM, never shown.

    A signature is valid if one of the public keys verifies it: list both while a key is being replaced.
    """

    private: bytes | None = field(default=None, repr=False)
    public: tuple[bytes, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, connection: Connection) -> Keys:
        """The keys of a connection: private in its password, public in `public_key` of its extra.

        By default the public key is that of the private one. Raises `SourceError` for keys not of the
        elliptic curves P-256, P-384 or P-521, and for a private key that belongs to none of the public ones.
        """
        where = f"connection '{connection.conn_id}'"
        private = _private_key(connection.password, where) if connection.password else None
        public = [_public_key(text, where) for text in _public_texts(connection, where)]
        if private is None:
            return cls(None, tuple(_public_pem(key) for key in public))
        own = _public_pem(private.public_key())
        listed = tuple(_public_pem(key) for key in public) or (own,)
        if own not in listed:
            raise SourceError(
                f"{where}: its private key matches no public_key in its extra, so its signatures would be "
                f"rejected: add the matching public key, {_HOW}"
            )
        return cls(_private_pem(private), listed)


class Signatures:
    """How a pipeline's versions are signed and their signatures checked.

    `keys` is called when keys are first needed; `required` says that a version without a valid signature is
    never loaded or promoted.
    """

    def __init__(self, keys: Callable[[], Keys], required: bool = False) -> None:
        self._look_up = keys
        self.required = required

    @classmethod
    def of(cls, models: Models, connect: Connect) -> Signatures | None:
        """The signatures that a description asks for; None if it names no connection with keys.

        Raises `SpecError` where signatures are required and there is no connection.
        """
        conn_id = models.signing
        if conn_id is None:
            if models.require_signature:
                raise SpecError(
                    "models.require_signature: there is no key to check signatures with: set models.signing "
                    "to the connection that has it"
                )
            return None
        return cls(lambda: Keys.of(connect(conn_id)), models.require_signature)

    @cached_property
    def _keys(self) -> Keys:
        return self._look_up()

    @property
    def signs(self) -> bool:
        """Whether new versions are signed; raises `SourceError` if they must be and there is no key."""
        if self.required and self._keys.private is None:
            raise SourceError(
                "models.require_signature is set and the connection of models.signing has no private key, so "
                f"the version could never be loaded: put the key in its password, {_HOW}"
            )
        return self._keys.private is not None

    def sign(self, version: str, digests: Mapping[str, str]) -> bytes:
        """The signature over files with these SHA-256 digests (hexadecimal), by name."""
        from model_signing import signing

        assert self._keys.private is not None, "there is no private key"
        with _nameless() as (file, path), _passed_on(self._keys.private) as key:
            config = signing.Config()  # type: ignore[no-untyped-call]
            config.use_elliptic_key_signer(private_key=key)
            config.set_hashing_config(_known(digests)).sign(version, path)
            file.seek(0)
            return file.read()

    def check(self, version: str, digests: Mapping[str, str], signature: bytes) -> None:
        """Raise `IntegrityError` unless one of the public keys signed exactly these files."""
        problem = "there is no public key to check it with"
        for public in self._keys.public:
            found = _problem(version, digests, signature, public)
            if found is None:
                return
            problem = found
        raise IntegrityError(f"its signature is wrong: {problem}")

    def proof(self, version: str, name: str, sha256: str) -> str:
        """A proof, stored with a version's file, that only a holder of the private key can make."""
        assert self._keys.private is not None, "there is no private key"
        secret = hashlib.sha256(b"evergreen file of a version" + self._keys.private).digest()
        return hmac.new(secret, f"{version}/{name}/{sha256}".encode(), hashlib.sha256).hexdigest()


def _problem(version: str, digests: Mapping[str, str], signature: bytes, public: bytes) -> str | None:
    from model_signing import verifying

    with (
        _nameless(signature) as (_, file),
        _nameless(public) as (_, key),
        contextlib.redirect_stdout(sys.stderr),
    ):
        config = verifying.Config()  # type: ignore[no-untyped-call]
        try:
            config.use_elliptic_key_verifier(public_key=key)
            config.set_hashing_config(_known(digests)).verify(version, file)
        except Exception as error:  # noqa: BLE001 - whatever it trips over in a forged file is a refusal
            return one_line(error, 160) or type(error).__name__
    return None


def _known(digests: Mapping[str, str]) -> Any:
    """The hashing of a folder, replaced by digests that are known already."""
    from model_signing import hashing
    from model_signing._hashing.hashing import Digest
    from model_signing.manifest import Manifest, SerializationType

    kind = SerializationType.from_args(
        {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": [SIGNATURE]}
    )
    items = [kind.new_item(name, Digest("sha256", bytes.fromhex(digest))) for name, digest in digests.items()]

    class Known(hashing.Config):
        def hash(self, model_path: Any, *, files_to_hash: Any = None) -> Manifest:
            return Manifest(Path(model_path).name, items, kind)

    return Known()  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def _nameless(content: bytes = b"") -> Iterator[tuple[IO[bytes], Path]]:
    """A temporary file without a name, and a path to it: a killed process leaves none behind."""
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        yield file, Path(f"/dev/fd/{file.fileno()}")


@contextlib.contextmanager
def _passed_on(secret: bytes) -> Iterator[Path]:
    """A path (of a pipe) that gives the secret to its first reader; it is never written to a disk."""
    reading, writing = os.pipe()
    try:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(secret)  # a key fits into the buffer of a pipe
        yield Path(f"/dev/fd/{reading}")
    finally:
        os.close(reading)


def _public_texts(connection: Connection, where: str) -> list[str]:
    stated = connection.extra.get("public_key")
    if not stated:
        if not connection.password:
            raise SourceError(f"{where} has no key: put a public one in public_key of its extra, {_HOW}")
        return []
    texts = _PUBLIC.findall(_pem(str(stated)))
    if not texts:
        raise SourceError(f"{where}: public_key of its extra is no public key in PEM: {_HOW}")
    return texts


def _pem(text: str) -> str:
    """Forms and variables often hold a key's line ends as two characters."""
    return text.replace("\\n", "\n").strip() + "\n"


def _private_key(text: str, where: str) -> Any:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    with _ec_or_refused(f"{where}: its password"):
        key = load_pem_private_key(_pem(text).encode(), None)
        _check_curve(key)
    return key


def _public_key(text: str, where: str) -> Any:
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    with _ec_or_refused(f"{where}: public_key of its extra"):
        key = load_pem_public_key(text.encode())
        _check_curve(key)
    return key


def _check_curve(key: Any) -> None:
    if key.curve.name not in _CURVES:
        raise ValueError("another curve")


@contextlib.contextmanager
def _ec_or_refused(what: str) -> Iterator[None]:
    try:
        yield
    except EvergreenError:
        raise
    except Exception:  # noqa: BLE001 - the parser's message may repeat the key
        raise SourceError(
            f"{what} is no unencrypted elliptic-curve key (P-256, P-384, P-521) in PEM: {_HOW}"
        ) from None


def _private_pem(key: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _public_pem(key: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
