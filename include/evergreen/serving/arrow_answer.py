"""An answer as a stream of Arrow's IPC format: the columns that a night publishes, and `error`."""

from __future__ import annotations

from typing import Any

import msgspec
import pyarrow as pa

from evergreen.scoring.published import VERSION, published_types
from evergreen.serving.served import Served

ERROR = "error"


def answer_stream(served: Served, document: dict[str, Any]) -> bytes:
    """The document of an answer of a version: its predictions are the rows, all else is schema metadata.

    A row has either its prediction or its error, and null for the other. Metadata that is no text is JSON.
    """
    said, about = document["predictions"], {k: v for k, v in document.items() if k != "predictions"}
    names = dict.fromkeys(name for row in said for name in row)
    metadata = {name: v if isinstance(v, str) else msgspec.json.encode(v) for name, v in about.items()}
    schema = pa.schema(published_schema(served, [*names]), metadata)
    table = pa.Table.from_pylist(said, schema)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as stream:
        stream.write_table(table)
    body: bytes = sink.getvalue().to_pybytes()
    return body


def published_schema(served: Served, names: list[str]) -> dict[str, pa.DataType]:
    """The type of each column by name, whichever of them the predictions of a version have."""
    keys = {name: served.types.schema.field(name).type for name in served.spec.keys}
    other = [name for name in names if name not in {*keys, VERSION, ERROR}]
    published = published_types(served.spec, served.target_type, other)
    return {**keys, **published, VERSION: pa.string(), ERROR: pa.string()}
