"""The canary: a version that answers for a stable share of the keys beside the champion.

Which keys it takes follows from their values and its id alone: the same on every server and after a restart,
and a larger share takes the keys of a smaller one and more. Another canary takes other keys.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from evergreen.serving.served import Served


@dataclass(frozen=True)
class ServedCanary:
    """A version that is ready to answer, and the share of the keys that it answers for."""

    served: Served
    share: float

    def takes(self, rows: pa.Table) -> np.ndarray:
        """Which of the rows (n, d) are of its keys, as n booleans."""
        keys = rows.select(list(self.served.spec.keys)).to_pylist()
        places = (place_of(self.served.version, key.values()) for key in keys)
        return np.fromiter((place < self.share for place in places), bool, len(rows))


def place_of(version: str, key: Iterable[Any]) -> float:
    """Where the values of a key are for a version, from 0 to below 1, evenly spread (by SHA-256)."""
    text = json.dumps([version, *map(str, key)])
    digest = hashlib.sha256(text.encode()).digest()
    return (int.from_bytes(digest[:8]) >> 11) / 2**53  # as many bits as a float has
