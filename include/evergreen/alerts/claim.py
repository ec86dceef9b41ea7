"""Whether the one who has claimed a book of alerts is still sending."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from evergreen.alerts.book import read_book

if TYPE_CHECKING:
    from evergreen.storage import Storage

STILL = 90.0
"""Seconds without a change after which a claimed book is free again; a message takes less."""

_LOOK = 0.25  # seconds between two looks at a claimed book


def moves(storage: Storage, pipeline: str, etag: str, still: float) -> bool:
    """Watch a claimed book that has this tag: True as soon as it is written again, False if it is not.

    It is watched for `still` seconds at most.
    """
    start = time.monotonic()
    while time.monotonic() - start < still:
        time.sleep(_LOOK)
        if read_book(storage, pipeline)[1] != etag:
            return True
    return False
