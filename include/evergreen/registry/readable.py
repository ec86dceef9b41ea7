"""What was stored as JSON and cannot be read is damaged, however that shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from evergreen.errors import IntegrityError

if TYPE_CHECKING:
    from evergreen.storage import Storage


@contextmanager
def readable(pipeline: str, what: str, storage: Storage) -> Iterator[None]:
    """Turn what a parser trips over into an `IntegrityError` that names the thing."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise IntegrityError(
            f"{pipeline}: {what} in {storage.uri()} cannot be read ({type(error).__name__}): "
            "restore it from a backup"
        ) from None
