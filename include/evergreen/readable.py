"""Stored JSON that cannot be read counts as damaged, whatever the parser raises."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from evergreen.errors import IntegrityError

if TYPE_CHECKING:
    from evergreen.storage import Storage


@contextmanager
def readable(
    pipeline: str, what: str, storage: Storage, remedy: str = "restore it from a backup"
) -> Iterator[None]:
    """Turn what a parser raises into an `IntegrityError` that names what was read.

    That is also a document nested deeper than Python's stack, and a number beyond all whole ones.
    """
    try:
        yield
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        RecursionError,
        OverflowError,
    ) as error:
        raise IntegrityError(
            f"{pipeline}: {what} in {storage.uri()} cannot be read ({type(error).__name__}): {remedy}"
        ) from None
