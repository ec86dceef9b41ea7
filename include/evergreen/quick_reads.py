"""Reads of a store the quick way: by obstore, for a tenth of the processor's time that boto3 takes.

Only reads, and only what is answered at the first attempt. Everything else is `AskAgain`, for boto3, which
tries several times and says what is wrong. A process that was forked after obstore was used always asks
again: the threads that would answer are not in the child, and a call would wait for ever.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from evergreen.storage_errors import Unchanged

_LIMITS: Any = {"allow_http": True, "connect_timeout": "5s", "timeout": "60s"}


class AskAgain(Exception):  # noqa: N818 - no error: the usual way is taken
    """What was asked is left to the usual way."""


class Missing(Exception):  # noqa: N818 - an answer, like the other one
    """The store is there, and has no object at the key."""


@dataclass
class _Threads:
    """Whether obstore's threads were started here, and whether they were before this process was forked."""

    started: bool = False
    lost: bool = False

    def after_fork(self) -> None:
        self.lost = self.started


_threads = _Threads()
os.register_at_fork(after_in_child=_threads.after_fork)


@dataclass(frozen=True)
class QuickReads:
    """The reads of one bucket; keys are full. Each raises `AskAgain` where it has no certain answer."""

    bucket: str
    endpoint: str | None
    region: str
    access_key: str
    secret_key: str | None = field(repr=False)
    session_token: str | None = field(repr=False)

    def get(self, key: str, unless: str | None = None) -> tuple[bytes, str, dict[str, str]]:
        """The bytes at a key, their tag, and what was noted with them.

        Raises `Missing` if there is no object, `Unchanged` if it has the tag `unless`.
        """
        with self._asked() as store:
            answer = store.get(key, options={"if_none_match": unless} if unless else None)
            tag = answer.meta["e_tag"]
            if tag is None:
                raise AskAgain
            return bytes(answer.bytes()), tag, dict(answer.attributes)

    def exists(self, key: str) -> bool:
        """Whether there is an object at a key."""
        with self._asked() as store:
            try:
                store.head(key)
            except FileNotFoundError:
                return False
            return True

    def tail(self, key: str, size: int) -> bytes:
        """The last `size` bytes at a key; raises `Missing` if there is no object."""
        with self._asked() as store:
            return bytes(store.get(key, options={"range": {"suffix": size}}).bytes())

    def look(self, prefix: str, after: str | None) -> list[tuple[str, tuple[int, datetime, str]]]:
        """The keys below a prefix, or those after a key: each with its bytes, time in the store, and tag."""
        with self._asked(prefix) as store:
            found = store.list(prefix, offset=after).collect()
            facts = ((each["size"], each["last_modified"], each["e_tag"] or "") for each in found)
            return [(each["path"], fact) for each, fact in zip(found, facts, strict=True)]

    def folders(self, prefix: str) -> list[str]:
        """The folders directly below a prefix, without a slash at their end."""
        with self._asked(prefix) as store:
            return list(store.list_with_delimiter(prefix)["common_prefixes"])

    @contextmanager
    def _asked(self, prefix: str = "") -> Iterator[Any]:
        if _threads.lost or (
            prefix and not prefix.endswith("/")
        ):  # obstore reads a prefix as that of a folder
            raise AskAgain
        from obstore.exceptions import BaseError, NotModifiedError

        _threads.started = True
        try:
            yield _store_of(self)
        except FileNotFoundError as error:  # also where there is no bucket
            raise Missing if "<Code>NoSuchKey</Code>" in str(error) else AskAgain from error
        except NotModifiedError as error:
            raise Unchanged from error
        except (BaseError, OSError) as error:
            raise AskAgain from error


@lru_cache(maxsize=8)
def _store_of(reads: QuickReads) -> Any:
    from obstore.store import S3Store

    choices: dict[str, Any] = {
        "access_key_id": reads.access_key,
        "secret_access_key": reads.secret_key,
        "session_token": reads.session_token,
        "region": reads.region,
        "endpoint": reads.endpoint,
        "virtual_hosted_style_request": reads.endpoint is None,
    }
    return S3Store(
        reads.bucket,
        client_options=_LIMITS,
        retry_config={"max_retries": 0},
        **{name: value for name, value in choices.items() if value is not None},
    )
