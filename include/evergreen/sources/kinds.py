"""The kinds of source, by their name in `pipeline.yaml`."""

from __future__ import annotations

from evergreen.sources.files import FILE
from evergreen.sources.http import HTTP
from evergreen.sources.kind import SourceKind
from evergreen.sources.postgres import POSTGRES
from evergreen.sources.sql import SQL
from evergreen.sources.tables import DELTA, ICEBERG

KINDS: dict[str, SourceKind] = {
    "postgres": POSTGRES,
    "http": HTTP,
    "file": FILE,
    "sql": SQL,
    "delta": DELTA,
    "iceberg": ICEBERG,
}
