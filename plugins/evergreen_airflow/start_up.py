"""Settings that Airflow does not start with: each danger is found by one function, and told with its remedy.

The scheduler asks when it is about to start, the API server when it asks for Evergreen's sites. Neither can
be told not to ask. An error here would be logged by Airflow and passed over, so the process is ended. The
embedded stack has some of these settings on purpose. It says so, and is then held to this machine alone.
"""

from __future__ import annotations

import base64
import ipaddress
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from airflow.listeners import hookimpl

EMBEDDED = "EVERGREEN_EMBEDDED"
"""The variable by which the embedded stack says that it is one."""

# The keys of examples and of other people's compose files.
_KNOWN = frozenset(
    {
        "",
        "airflow",
        "airflow_jwt_secret",
        "any",
        "changeme",
        "minio123",
        "minioadmin",
        "password",
        "postgres",
        "rustfsadmin",
        "secret",
        "static_secret_key",
        "temporary_key",
        "test",
        "46BKJoQYlPPOexq0OhDZnIlNepKFf87WFwLbfzqDDho=",
        "81HqDtbqAywKSOumSha3BhWNOdQ26slT6K0YaZeZyPs=",
    }
)
_SHORTEST = 16  # characters of a secret
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """What Airflow is configured with: options by section and name, the variables, and where its API listens.

    An option that is not set is an empty text.
    """

    option: Callable[[str, str], str]
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    host: str = ""

    @classmethod
    def found(cls) -> Settings:
        """Those of this process."""
        from airflow.configuration import conf

        def option(section: str, name: str) -> str:
            return str(conf.get(section, name, fallback="") or "")

        return cls(option, dict(os.environ), _host_of(sys.argv) or option("api", "host"))

    @property
    def is_embedded(self) -> bool:
        """Whether this is said to be the embedded stack."""
        return bool(self.variables.get(EMBEDDED))


def _all_admins(settings: Settings) -> str | None:
    if settings.option("core", "simple_auth_manager_all_admins").lower() in ("true", "1", "t"):
        return "everybody is an administrator: set core.simple_auth_manager_all_admins = False"
    return None


def _auth_manager(settings: Settings) -> str | None:
    if settings.option("core", "auth_manager").endswith("SimpleAuthManager"):
        return (
            "the simple auth manager keeps passwords in a file and is for trials: set core.auth_manager to "
            "another, such as that of the fab provider"
        )
    return None


def _fernet_key(settings: Settings) -> str | None:
    keys = settings.option("core", "fernet_key").split(",")
    if all(map(_is_fernet_key, keys)):
        return None
    return (
        "core.fernet_key is none, or known to everybody, so connections are readable in the database: "
        "generate one with python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key())'"
    )


def _jwt_secret(settings: Settings) -> str | None:
    if settings.option("api_auth", "jwt_private_key_path"):
        return None
    return _weak("api_auth.jwt_secret", settings.option("api_auth", "jwt_secret"), "anybody can sign tokens")


def _secret_key(settings: Settings) -> str | None:
    return _weak("api.secret_key", settings.option("api", "secret_key"), "anybody can make sessions")


def _database_password(settings: Settings) -> str | None:
    address = urlsplit(settings.option("database", "sql_alchemy_conn"))
    if address.hostname and not _is_loopback(address.hostname) and (address.password or "") in _KNOWN:
        return (
            "the password in database.sql_alchemy_conn is empty or known to everybody: give the database "
            "another one and write it there"
        )
    return None


def _storage_keys(settings: Settings) -> str | None:
    if settings.variables.get("AWS_SECRET_ACCESS_KEY") in _KNOWN:
        return "AWS_SECRET_ACCESS_KEY is empty or known to everybody: give the store keys of your own"
    return None


def _reachable(settings: Settings) -> str | None:
    """Of the embedded stack alone: it may be reached from nowhere else."""
    endpoint = urlsplit(settings.variables.get("AWS_ENDPOINT_URL", "")).hostname
    for what, host in (("the API", settings.host), ("the storage", endpoint)):
        if not host or not _is_loopback(host):
            return (
                f"{EMBEDDED} is set, and {what} is at '{host or 'no address'}': the embedded stack is for "
                "this machine alone: listen at 127.0.0.1, or unset it and configure Airflow for others"
            )
    return None


OF_ANY: Sequence[Callable[[Settings], str | None]] = (
    _all_admins,
    _auth_manager,
    _fernet_key,
    _jwt_secret,
    _secret_key,
    _database_password,
    _storage_keys,
)
"""What says whether a setting is dangerous: a line with the remedy, or None."""

OF_EMBEDDED: Sequence[Callable[[Settings], str | None]] = (_reachable,)
"""The same of the embedded stack, whose other settings are its own."""


def dangers(settings: Settings) -> Iterator[str]:
    """A line for each dangerous setting, with the remedy."""
    for check in OF_EMBEDDED if settings.is_embedded else OF_ANY:
        if told := check(settings):
            yield told


@lru_cache(maxsize=1)
def check_settings(storage: bool = False) -> None:
    """End this process, with a line for each danger, if it has dangerous settings.

    With `storage` also if anybody may write to the bucket. A store that cannot be asked is warned of.
    """
    settings = Settings.found()
    found = [*dangers(settings)]
    if storage and not settings.is_embedded:
        found += _open_bucket()
    if found:
        raise SystemExit("\n".join(f"evergreen: refused to start: {line}" for line in found))


@hookimpl
def on_starting(component: Any) -> None:
    """Check the settings of the scheduler before it does anything.

    The other jobs of Airflow start so too, and may have fewer keys.
    """
    is_other = sys.argv[1:2] in (["dag-processor"], ["triggerer"])
    if type(component).__module__ == "airflow.jobs.job" and not is_other:
        check_settings()


def _open_bucket() -> list[str]:
    from evergreen.errors import EvergreenError
    from evergreen.open_bucket import written_by_anybody
    from evergreen_airflow.connections import open_storage

    try:
        told = written_by_anybody(open_storage())
    except EvergreenError as error:
        _log.warning("It is not known whether anybody may write to the storage: %s", error)
        return []
    return [told] if told else []


def _weak(name: str, value: str, so: str) -> str | None:
    if value not in _KNOWN and len(value) >= _SHORTEST:
        return None
    return (
        f"{name} is empty, short or known to everybody, so {so}: generate one with "
        "python -c 'import secrets; print(secrets.token_hex(32))'"
    )


def _is_fernet_key(text: str) -> bool:
    try:
        key = base64.urlsafe_b64decode(text.strip())
    except ValueError:
        return False
    # 32 random bytes with less than 16 different ones do not happen.
    return text.strip() not in _KNOWN and len(key) == 32 and len(set(key)) >= 16


def _host_of(arguments: Sequence[str]) -> str | None:
    """The address that the API server is told to listen at by its arguments."""
    for at, argument in enumerate(arguments):
        if argument in ("--host", "-H"):
            return next(iter(arguments[at + 1 :]), None)
        if argument.startswith("--host="):
            return argument.partition("=")[2]
    return None


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
