"""The stack's passwords and keys: generated once, kept in one file that only its owner may read."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import asdict, dataclass, field

from deploy.embedded.home import Home, write_atomically


def _hex() -> str:
    return secrets.token_hex(16)


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def _access_key() -> str:
    # The S3 server reads a key of twelve digits as an account number: a letter in front rules that out.
    return f"EG{secrets.token_hex(9).upper()}"


@dataclass(frozen=True)
class Secrets:
    """Everything that must not be guessed. None of it shows in `repr`."""

    postgres_password: str = field(default_factory=_hex, repr=False)
    s3_access_key: str = field(default_factory=_access_key, repr=False)
    s3_secret_key: str = field(default_factory=_hex, repr=False)
    weather_api_key: str = field(default_factory=_hex, repr=False)
    admin_password: str = field(default_factory=_hex, repr=False)
    fernet_key: str = field(default_factory=_fernet_key, repr=False)
    jwt_secret: str = field(default_factory=_hex, repr=False)
    api_secret: str = field(default_factory=_hex, repr=False)
    redis_password: str = field(default_factory=_hex, repr=False)


def keep(home: Home) -> Secrets:
    """The secrets of this home, generated and written at the first call; later those that are new."""
    kept = json.loads(home.secrets_file.read_text()) if home.secrets_file.exists() else {}
    found = Secrets(**kept)
    if asdict(found) != kept:
        write_atomically(home.secrets_file, json.dumps(asdict(found), indent=1))
    return found
