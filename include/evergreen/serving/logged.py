"""Which rows of a request are logged, and what of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pyarrow as pa

from evergreen.request_log.columns import VERSION, check_dropped, logged_columns
from evergreen.serving.answer import Answer
from evergreen.serving.body import Body
from evergreen.serving.canary import place_of
from evergreen.serving.row_partitions import by_partition, partitions_of
from evergreen.serving.served import Served
from evergreen.spec import Log, Spec

_CHOICE = "request log"
"""In the place of a version: the same keys are logged, whoever answers."""


def logged(served: Served, log: Log, body: Body, found: Answer) -> dict[str, pa.Table]:
    """What is logged of a request, by partition: the rows that were predicted, of the chosen keys.

    Raises `SpecError` for a column to drop that is none.
    """
    spec = served.spec
    check_dropped(spec.name, log.drop, served.published.names)
    chosen = [at for at, said in enumerate(found.rows) if _is_chosen(spec, log, said)]
    if not chosen:
        return {}
    rows, said = served.types.read(body.taken(chosen)).rows, [found.rows[at] for at in chosen]
    partitions, digests = partitions_of(spec, rows), _digests(found)
    versions = [one[VERSION] for one in said]
    looked_back = [digests.get(place) for place in zip(versions, partitions, strict=True)]
    table = logged_columns(rows, log.drop, versions, looked_back, [_predicted(spec, one) for one in said])
    return by_partition(spec, rows, table)


def _is_chosen(spec: Spec, log: Log, said: Mapping[str, Any]) -> bool:
    return "error" not in said and place_of(_CHOICE, [said[name] for name in spec.keys]) < log.share


def _digests(found: Answer) -> dict[tuple[str, str], str]:
    """The digest of what each version and partition has looked back to."""
    digests = {(found.version, key): before.digest for key, before in found.look_backs.items()}
    if found.beside:
        of_canary = found.beside.get("look_back", {})
        digests |= {(found.beside[VERSION], key): before["digest"] for key, before in of_canary.items()}
    return digests


def _predicted(spec: Spec, said: Mapping[str, Any]) -> str:
    """What was predicted of a row, as JSON."""
    named = {*spec.keys, VERSION}
    return msgspec.json.encode({name: value for name, value in said.items() if name not in named}).decode()
