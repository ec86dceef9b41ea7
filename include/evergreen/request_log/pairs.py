"""The columns of a logged pair: what a champion and its shadow have said of the same row.

| column | holds |
|---|---|
| `row.<name>` | a column of the row's key, in the type that it is published in |
| `version`, `said` | the champion, and what it predicted, as JSON |
| `shadow`, `shadow_said` | its shadow, and what that predicted; null where it could not predict the row |
| `problem` | why it could not; else null |

What is predicted is `prediction`, and `probability` or `probabilities` where there are any.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from evergreen.request_log.columns import VERSION, row_columns

SAID, SHADOW, SHADOW_SAID, PROBLEM = "said", "shadow", "shadow_said", "problem"

_PREDICTED = ("prediction", "probability", "probabilities")


def logged_pairs(
    keys: pa.Table,
    version: str,
    said: Sequence[Mapping[str, Any]],
    shadow: str,
    shadow_said: Sequence[Mapping[str, Any]],
) -> pa.Table:
    """The keys of n rows, each with what both versions answered; `error` is why the shadow has no answer."""
    count = len(keys)
    columns = {
        VERSION: pa.array([version] * count, pa.string()),
        SAID: pa.array(map(_predicted, said), pa.string()),
        SHADOW: pa.array([shadow] * count, pa.string()),
        SHADOW_SAID: pa.array(map(_predicted, shadow_said), pa.string()),
        PROBLEM: pa.array([one.get("error") for one in shadow_said], pa.string()),
    }
    return pa.table({**row_columns(keys), **columns})


def _predicted(said: Mapping[str, Any]) -> str | None:
    if "error" in said:
        return None
    return json.dumps({name: said[name] for name in _PREDICTED if name in said})
